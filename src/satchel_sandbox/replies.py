"""JSON answers and refusals, the same for the wire and for the control API."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .errors import Refusal


def reply(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def on_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    said: dict[str, object] = {"error": error.slug, "details": error.details}
    if error.code is not None:
        said["errors"] = [{"code": error.code, "title": "Parameter value is not valid", "details": error.details}]
    answer = reply(said, error.status)
    if error.retry_after is not None:
        answer.headers["retry-after"] = str(error.retry_after)
    return answer


async def on_http(request: Request, error: Exception) -> Response:
    """An unknown path or method."""
    assert isinstance(error, HTTPException)
    slug = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    return reply({"error": slug, "details": f"There is no {request.method} {request.url.path} here."}, error.status_code)


async def on_disconnect(_: Request, error: Exception) -> Response:
    """The caller went away in the middle of its body; nobody reads this."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=400)


HANDLERS = {Refusal: on_refusal, HTTPException: on_http, ClientDisconnect: on_disconnect}
