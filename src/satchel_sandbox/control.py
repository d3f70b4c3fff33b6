"""The /sandbox/... API: what a test or a person asks phones, and what it does to the clock and the world. Loopback only, no token."""

import asyncio
import re
from pathlib import Path
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from . import messages
from .clock import duration, rfc3339
from .errors import Refusal, invalid
from .messages import Message
from .network import Network
from .replies import reply

LONGEST_WAIT = 60.0  # seconds


class Advance(msgspec.Struct, frozen=True):
    advance: str


class Control:
    """Handlers over one network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def routes(self) -> list[Route]:
        one = "/sandbox/phones/{number}/messages/{id:path}"
        return [
            Route("/sandbox/readyz", self._ready),
            Route("/sandbox/phones", self._phones),
            Route("/sandbox/phones/{number}/messages", self._messages),
            Route(one + "/media", self._media),
            Route(one + "/envelope", self._envelope),
            Route("/sandbox/clock", self._clock),
            Route("/sandbox/clock", self._advance, methods=["PUT"]),
            Route("/sandbox/reset", self._reset, methods=["POST"]),
        ]

    async def _ready(self, _: Request) -> Response:
        return reply({"ready": True})

    async def _phones(self, _: Request) -> Response:
        found = await self._network.store.read(messages.phones)
        return reply({"phones": [{"number": number, "messages": count} for number, count in found]})

    async def _messages(self, request: Request) -> Response:
        number = _number(request)
        wait = _wait(request.query_params.get("wait"))
        after = await self._seq(number, request.query_params.get("after"))
        await self._settled(number, after, wait)
        found = await self._network.store.read(lambda tx: messages.on_phone(tx, number, after))
        return reply({"messages": [_shown(message) for message in found]})

    async def _seq(self, number: str, after: str | None) -> int:
        if after is None:
            return 0
        return (await self._network.store.read(lambda tx: messages.one(tx, number, after))).seq

    async def _settled(self, number: str, after: int, wait: float) -> None:
        """Return once the newest message is later than `after` and settled, or the time is over."""
        bells, loop = self._network.phones.bells, asyncio.get_running_loop()
        until = loop.time() + wait
        while (left := until - loop.time()) > 0 and not bells.silenced:
            changed = bells.next(number)
            newest = await self._network.store.read(lambda tx: messages.newest(tx, number))
            if newest and newest.seq > after and newest.settled:
                return
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                return

    async def _one(self, request: Request) -> Message:
        number, message_id = _number(request), request.path_params["id"]
        return await self._network.store.read(lambda tx: messages.one(tx, number, message_id))

    async def _media(self, request: Request) -> Response:
        message = await self._one(request)
        media = message.envelope.media
        if media is None:
            raise Refusal(404, "no_media", f"The message {message.id!r} is of type {message.envelope.type} and has no media.")
        if message.state != "downloaded":
            reason = f": {message.reason}" if message.reason else ""
            raise Refusal(409, "not_downloaded", f"The media of message {message.id!r} is {message.state}{reason}.")
        file = self._network.phones.file(self._network.world, message)
        if not await asyncio.to_thread(file.is_file):
            raise Refusal(404, "no_media", f"The phone's file of message {message.id!r} was removed by hand.")
        return _kept(file, media.mime_type, message.envelope.filename)

    async def _envelope(self, request: Request) -> Response:
        return reply((await self._one(request)).envelope)

    async def _clock(self, _: Request) -> Response:
        clock = self._network.clock
        return reply({"now": rfc3339(clock.now()), "offset": clock.offset})

    async def _advance(self, request: Request) -> Response:
        try:
            seconds = duration(msgspec.json.decode(await request.body(), type=Advance).advance)
        except msgspec.DecodeError:
            seconds = None
        if not seconds:
            raise invalid('Say how far the clock goes forward: {"advance": "15d"}, with s, m, h or d.')
        await self._network.advance(seconds)
        return await self._clock(request)

    async def _reset(self, _: Request) -> Response:
        return reply({"world": await self._network.reset()})


def _number(request: Request) -> str:
    """`+1 (202) 555-0111` and `12025550111` name the same phone."""
    number = re.sub(r"[+\-(). ]", "", request.path_params["number"])
    if not re.fullmatch(r"[0-9]{7,15}", number):
        raise Refusal(400, "invalid_number", "A phone number has 7 to 15 digits; signs and blanks between them are ignored.", code=1009)
    return number


def _wait(text: str | None) -> float:
    seconds = 0.0 if text is None else duration(text)
    if seconds is None:
        raise Refusal(400, "invalid_wait", f"The wait {text!r} is no time: write 500ms, 10s or 2m.")
    return min(seconds, LONGEST_WAIT)


def _kept(file: Path, mime: str, filename: str | None) -> Response:
    # As a header and not as media_type, which would add a charset to text types.
    headers = {"content-type": mime, "x-content-type-options": "nosniff"}
    if filename:
        headers["content-disposition"] = f"inline; filename*=utf-8''{quote(filename, safe='')}"
    return FileResponse(file, headers=headers)


def _shown(message: Message) -> dict[str, object]:
    envelope, media = message.envelope, message.envelope.media
    shown: dict[str, object] = {
        "id": message.id,
        "from": envelope.sender,
        "type": envelope.type,
        "caption": envelope.caption,
        "filename": envelope.filename,
        "at": rfc3339(message.at),
        "media": None,
    }
    if envelope.text is not None:
        shown["text"] = envelope.text
    if media is not None:
        facts = {"mime_type": media.mime_type, "size": media.file_length, "sha256": media.file_sha256.hex()}
        shown["media"] = {"state": message.state, **facts}
    return shown
