"""POST /_satchel/v1/preflight: what would become of a file, without keeping or sending it. For every user."""

from typing import Any

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from satchel.domain.errors import PARAMETER_INVALID, Fault
from satchel.domain.limits import ENCRYPTED_BYTES
from satchel.domain.members import shown
from satchel.domain.reports import Report, detected
from satchel.domain.statuses import errors_of
from satchel.flows.check import Asked, check
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Preflight:
    """The body is a file, as in an upload. A refused one is an answer like any other."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = bodies.headers_of(scope)
        await self._webapp.gate.user(headers)
        media_type = _media_type(QueryParams(scope["query_string"]))
        file = await bodies.file_of(scope, headers, receive)
        found = await check(self._webapp.ports, file.blocks, Asked(file.mime, media_type, file.length))
        await reply(_shown(found, self._webapp.ports.limits.upload))(scope, receive, send)


def _media_type(asked: QueryParams) -> str | None:
    given = asked.get("as")
    if given not in (None, *ENCRYPTED_BYTES):
        raise Fault(PARAMETER_INVALID, f"The parameter as is {shown(given)}: it must be one of {', '.join(ENCRYPTED_BYTES)}.")
    return given


def _shown(found: Report, upload_limit: int) -> dict[str, Any]:
    sizes = {"upload": found.upload, "processed": found.processed, "encrypted": found.encrypted}
    return {
        "verdict": found.verdict,
        "declared": found.declared,
        "as": found.media_type,
        "detected": detected(found.facts),
        "actions": [_known(vars(action)) for action in found.actions],
        "sizes": _known(sizes),
        "limits": {"upload": upload_limit, "processed": ENCRYPTED_BYTES[found.media_type]},
        "problems": errors_of(found.problem) if found.problem else [],
    }


def _known(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
