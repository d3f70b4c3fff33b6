"""JSON answers and refusals, the same for the wire and for the control API."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import Refusal

NODES = ("/v1/", "/_satchel/")
NO_NODE = "{path} is an address of the media node, and this is the simulated network: ask at the node's port."


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
    if request.url.path.startswith(NODES):
        return reply({"error": "not_found", "details": NO_NODE.format(path=request.url.path)}, 404)
    slug = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    return reply({"error": slug, "details": f"There is no {request.method} {request.url.path} here."}, error.status_code)


async def on_disconnect(_: Request, error: Exception) -> Response:
    """The caller went away in the middle of its body; nobody reads this."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=400)


Handler = Callable[[Request], Awaitable[Response]]


def at_once(handlers: dict[tuple[str, str], Handler], otherwise: ASGIApp) -> ASGIApp:
    """An app that answers a few busy paths without the routing and the layers of the rest, which cost more than the work itself."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        handler = handlers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if handler is None:
            return await otherwise(scope, receive, send)
        request = Request(scope, receive)
        try:
            response = await handler(request)
        except Refusal as error:
            response = await on_refusal(request, error)
        except ClientDisconnect as error:
            response = await on_disconnect(request, error)
        return await response(scope, receive, send)

    return app


HANDLERS = {Refusal: on_refusal, HTTPException: on_http, ClientDisconnect: on_disconnect}
