"""A typed client for the node's HTTP API. Imports nothing else of Satchel, so it works against any node that speaks the contract."""

import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from satchel.client.connection import connect
from satchel.client.errors import (
    Busy,
    ClientError,
    FileUnreadable,
    NotAllowed,
    NotFound,
    Refused,
    SatchelError,
    SendFailed,
    StorageTrouble,
    TimedOut,
    Unreachable,
)
from satchel.client.source import Given, Source
from satchel.client.transport import Moved, Target, Transport, unwatched

if TYPE_CHECKING:
    from satchel.client.aio import AsyncSatchel as AsyncSatchel
    from satchel.client.node import Satchel as Satchel

__all__ = [
    "AsyncSatchel",
    "Busy",
    "Client",
    "ClientError",
    "Download",
    "FileUnreadable",
    "Media",
    "NotAllowed",
    "NotFound",
    "Page",
    "Refused",
    "Satchel",
    "SatchelError",
    "SendFailed",
    "StorageTrouble",
    "Target",
    "TimedOut",
    "Unreachable",
    "Uploaded",
    "connect",
]
LATE = {"Satchel": "satchel.client.node", "AsyncSatchel": "satchel.client.aio"}
"""What commands do without, so that they need not import it."""
LISTING, CALLBACKS, SENT = "/_satchel/v1/media", "/_satchel/v1/callbacks", "/_satchel/v1/messages"
PREFLIGHT = "/_satchel/v1/preflight"


@dataclass(frozen=True)
class Uploaded:
    """`mime`: what it was uploaded as; `size`: bytes; `sha256`: hexadecimal, of the bytes that were sent."""

    id: str
    mime: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """`size`: bytes; the blocks are read once, to their end."""

    size: int
    blocks: Iterator[bytes]


@dataclass(frozen=True)
class Media:
    """One media of the node's list. `size`: bytes; times: RFC 3339, network time; `file`: its path on the media volume."""

    id: str
    direction: str
    mime: str
    size: int
    sha256: str
    state: str
    user: str | None
    created_at: str
    last_used_at: str
    file: str


@dataclass(frozen=True)
class Page:
    """`now`: the node's network time, RFC 3339."""

    media: list[Media]
    now: str


def __getattr__(name: str) -> Any:
    if name in LATE:
        return getattr(importlib.import_module(LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Client:
    """Every call opens a connection of its own and raises `ClientError` or `Unreachable`."""

    def __init__(self, target: Target, transport: Transport | None = None) -> None:
        """`transport`: where requests go and with which token, if not those of the target."""
        self._transport = transport or Transport(target)

    def upload(self, source: Given, mime: str | None = None, moved: Moved = unwatched) -> Uploaded:
        """Store a file, streamed. `mime`: guessed from the name unless given. Raises `FileUnreadable`."""
        with Source(source, moved) as body:
            mime = mime or body.mime
            said = self._post("/v1/media", body, mime)
        return Uploaded(str(said["media"][0]["id"]), mime, body.size, body.sha256)

    def preflight(self, path: Path, media_type: str | None = None, mime: str | None = None, moved: Moved = unwatched) -> dict[str, Any]:
        """What would become of a file sent as this type, or as what its content says; the node keeps nothing. Raises `FileUnreadable`.

        `mime`: guessed from the name unless given.
        """
        query = f"?{urlencode({'as': media_type})}" if media_type else ""
        with Source(path, moved) as body:
            said = self._post(f"{PREFLIGHT}{query}", body, mime or body.mime)
        return {name: value for name, value in said.items() if name != "meta"}

    @contextmanager
    def get(self, media_id: str) -> Iterator[Download]:
        """The bytes of a media."""
        with self._transport.answer("GET", _media(media_id)) as answer:
            yield Download(answer.length or 0, self._transport.blocks(answer))

    def delete(self, media_id: str) -> None:
        """Delete a media."""
        self._transport.json("DELETE", _media(media_id))

    def info(self, media_id: str) -> Media:
        """What the node knows of a media."""
        return _read(self._transport.json("GET", f"{LISTING}/{quote(media_id, safe='')}")["media"][0])

    def pages(self, page_size: int = 100, **filters: str) -> Iterator[Page]:
        """All media, the newest first, a request a page. `filters`: direction, user, mime. A page may be empty before the last one."""
        query: str | None = urlencode({"limit": page_size, **filters})
        while query is not None:
            said, query = self._transport.page("GET", f"{LISTING}?{query}")
            yield Page([_read(media) for media in said["media"]], str(said["now"]))

    def send(
        self,
        type_: str,
        to: str,
        media_id: str | None = None,
        *,
        link: str | None = None,
        caption: str | None = None,
        filename: str | None = None,
    ) -> str:
        """Send a media, or what a link leads to, to a number; the message id. What becomes of it is told by callbacks.

        `type_`: audio, document, image, sticker or video.
        """
        media = {"id": media_id, "link": link, "caption": caption, "filename": filename}
        return self._send({"to": to, "type": type_, type_: {name: value for name, value in media.items() if value is not None}})

    def send_text(self, to: str, body: str, preview_url: bool = False) -> str:
        """Send a text to a number; the message id."""
        return self._send({"to": to, "type": "text", "text": {"body": body}, "preview_url": preview_url})

    def messages(self, page_size: int = 100, **filters: str) -> Iterator[list[dict[str, Any]]]:
        """What was sent, the newest first, a request a page. `filters`: state, to, type. A page may be empty before the last one."""
        query: str | None = urlencode({"limit": page_size, **filters})
        while query is not None:
            said, query = self._transport.page("GET", f"{SENT}?{query}")
            yield list(said["messages"])

    def message(self, message_id: str) -> dict[str, Any]:
        """One, with its steps, its statuses and its callbacks."""
        return dict(self._transport.json("GET", f"{SENT}/{quote(message_id, safe='')}")["messages"][0])

    def retry(self, message_id: str) -> dict[str, Any]:
        """Send one again that failed before the network had it. For administrators."""
        return dict(self._transport.json("POST", f"{SENT}/{quote(message_id, safe='')}/retry")["messages"][0])

    def callbacks(self, state: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What the business was told, the newest first. `state`: waiting, done, dead or unsent. For administrators, as all of these."""
        query = urlencode({"limit": limit} | ({"state": state} if state else {}))
        return list(self._transport.json("GET", f"{CALLBACKS}?{query}")["callbacks"])

    def callback(self, callback_id: str) -> dict[str, Any]:
        """One, with its attempts."""
        return dict(self._transport.json("GET", f"{CALLBACKS}/{quote(callback_id, safe='')}")["callbacks"][0])

    def replay(self, ids: Sequence[str] = (), *, failed: bool = False, since: str | None = None, to: str | None = None) -> list[str]:
        """Tell callbacks again: these, those that nobody took, or those of the last such as `2h`; the ids of the new ones."""
        wanted = {"ids": list(ids) or None, "failed": failed or None, "since": since, "to": to}
        said = self._transport.json("POST", f"{CALLBACKS}/replay", json.dumps(wanted).encode())
        return [one["id"] for one in said["callbacks"]]

    def test_webhook(self) -> str:
        """Put down a callback that says nothing; its id."""
        return str(self._transport.json("POST", f"{CALLBACKS}/test", b"{}")["callbacks"][0]["id"])

    def follow(self, after: int | None = None, since: str | None = None, wait: str = "20s") -> tuple[list[dict[str, Any]], int]:
        """The callbacks after a cursor, the oldest first, as soon as there is one; and where to go on."""
        given = {"wait": wait} | ({"after": str(after)} if after is not None else {}) | ({"since": since} if since else {})
        said = self._transport.json("GET", f"{CALLBACKS}/feed?{urlencode(given)}")
        return list(said["callbacks"]), int(said["cursor"])

    def _post(self, address: str, body: Source, mime: str) -> dict[str, Any]:
        """The answer to a file, streamed."""
        return self._transport.json("POST", address, body, {"Content-Type": mime, **body.length})

    def _send(self, message: dict[str, Any]) -> str:
        return str(self._transport.json("POST", "/v1/messages", json.dumps(message).encode())["messages"][0]["id"])


def _media(media_id: str) -> str:
    return f"/v1/media/{quote(media_id, safe='')}"


def _read(said: dict[str, Any]) -> Media:
    """What a later version says beyond this is left out."""
    return Media(**{item.name: said[item.name] for item in fields(Media)})
