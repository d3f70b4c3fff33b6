"""GET /_satchel/v1/media and /_satchel/v1/media/{id}: what lies on the media node, page by page, the newest first."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from satchel.db import Tx, listing, settings
from satchel.db import media as media_rows
from satchel.db.listing import Listed, Page, Place, Wanted
from satchel.domain.errors import MEDIA_UNKNOWN, PARAMETER_INVALID, Fault, Later
from satchel.flows import media_node
from satchel.webapp import Webapp, bodies, queries
from satchel.webapp.replies import reply

EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
DIRECTIONS = ("up", "in", "link")
MIME = re.compile(r"[!#$&^_.+a-z0-9-]+/(?:\*|[!#$&^_.+a-z0-9-]+)", re.ASCII | re.IGNORECASE)


class MediaListing:
    """The collection."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.user(bodies.headers_of(scope))
        asked = QueryParams(scope["query_string"])
        limit, after, wanted = _read(asked)

        def look(tx: Tx) -> tuple[Page, float]:
            return listing.page(tx, wanted, after, limit), settings.network_now(tx)

        page, now_net = await self._webapp.ports.db.read(look)
        body = {"media": [_shown(media, self._webapp) for media in page.media], "now": rfc3339(now_net)}
        await reply(body, headers=_next(scope["path"], asked, limit, page.end))(scope, receive, send)


class OneListed:
    """One media, without its bytes."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.user(bodies.headers_of(scope))
        media_id = scope["path_params"]["id"]
        if not media_node.MEDIA_ID.fullmatch(media_id):
            raise media_node.unknown(media_id)
        found, end = await self._webapp.ports.db.read(lambda tx: (listing.one(tx, media_id), media_rows.end_of(tx, media_id)))
        if found is None:
            raise _deleted(media_id, *end) if end else media_node.unknown(media_id)
        shown = _shown(found, self._webapp)
        if await self._is_gone(found):
            shown["state"] = "missing"
        await reply({"media": [shown]})(scope, receive, send)

    async def _is_gone(self, media: Listed) -> bool:
        """Whether a live media's file was removed by hand. A volume that does not answer says nothing of its files."""
        try:
            return media.state == "live" and await self._webapp.ports.volume.stat(media_node.key_of(media.id)) is None
        except (Later, Fault):
            return False


def _deleted(media_id: str, at_net: float, by: str) -> Fault:
    return Fault(MEDIA_UNKNOWN, f"Media {media_id} was deleted at {rfc3339(at_net)} by {by}. Upload the file again to send it.")


def rfc3339(seconds: float) -> str:
    """`2026-01-01T12:00:00.000Z`; what no calendar has is the first or the last moment of those that one has."""
    return datetime.fromtimestamp(min(max(seconds, EARLIEST), LATEST), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown(media: Listed, webapp: Webapp) -> dict[str, Any]:
    return {
        "id": media.id,
        "direction": media.direction,
        "mime": media.mime,
        "size": media.size,
        "sha256": media.sha256,
        "state": media.state,
        "user": media.user,
        "created_at": rfc3339(media.created_net),
        "last_used_at": rfc3339(media.last_used_net),
        "file": webapp.ports.volume.path(media_node.key_of(media.id)),
    }


def _read(asked: QueryParams) -> tuple[int, Place | None, Wanted]:
    """Limit, cursor and filter. Raises `Fault(PARAMETER_INVALID)` that names the parameter."""
    values = queries.read(asked, PARAMETERS)
    return values.pop("limit", queries.LIMIT), values.pop("after", None), Wanted(**values)


def _user(text: str) -> str:
    if not text or "\0" in text:
        raise Fault(PARAMETER_INVALID, f"The parameter user is {text[:40]!r}: it must be the name of a user.")
    return text


def _mime(text: str) -> str:
    if not MIME.fullmatch(text):
        raise Fault(PARAMETER_INVALID, f"The parameter mime is {text[:40]!r}: it must look like image/jpeg or image/*.")
    return text


def _cursor(text: str) -> Place:
    """What `_next` made; it is nobody else's to make or read."""
    try:
        place = msgspec.json.decode(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True), type=Place)
    except (binascii.Error, UnicodeError, msgspec.DecodeError):
        place = None
    if place is None or not media_node.MEDIA_ID.fullmatch(place.id):
        raise Fault(PARAMETER_INVALID, "The parameter after is no cursor of ours: take the one in the header Link of the page before.")
    return place


def _next(path: str, asked: QueryParams, limit: int, end: Place | None) -> dict[str, str]:
    if end is None:
        return {}
    after = base64.b64encode(msgspec.json.encode(end), altchars=b"-_").decode()
    query = urlencode({**asked, "limit": limit, "after": after})
    return {"Link": f'<{path}?{query}>; rel="next"'}


PARAMETERS: dict[str, Callable[[str], Any]] = {
    "limit": queries.limit,
    "after": _cursor,
    "direction": queries.one_of("direction", DIRECTIONS),
    "user": _user,
    "mime": _mime,
}
