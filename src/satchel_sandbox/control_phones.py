"""The /sandbox/phones... API: what a test or a person asks phones, and does with them. Loopback only, no token."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from . import actions, bodies, conversation, messages, mine, phone, shown
from .blocks import VIEW
from .clock import duration
from .errors import Refusal, invalid
from .messages import Message
from .mine import Mine
from .network import Network
from .replies import reply
from .shown import Match
from .store import Tx

LONGEST_WAIT = 60.0  # seconds
SYSTEMS = ("android", "iphone")


class PhoneControl:
    """Handlers over one network."""

    def __init__(self, network: Network) -> None:
        self._network, self._store = network, network.store

    def routes(self) -> list[Route]:
        one = "/sandbox/phones/{number}"
        message = one + "/messages/{id:path}"
        return [
            Route("/sandbox/phones", self._phones),
            Route("/sandbox/phones", self._add, methods=["POST"]),
            Route(one, self._phone),
            Route(one, self._change, methods=["PATCH"]),
            Route(one, self._delete, methods=["DELETE"]),
            Route(one + "/actions", self._act, methods=["POST"]),
            Route(one + "/files", self._take_file, methods=["POST"]),
            Route(one + "/conversations", self._conversations),
            Route(one + "/conversations/{business}", self._conversation),
            Route(one + "/conversations/{business}/blocks", self._blocks),
            Route(one + "/messages", self._messages),
            Route(message + "/media", self._media),
            Route(message + "/envelope", self._envelope),
        ]

    async def _phones(self, _: Request) -> Response:
        return reply({"phones": [shown.phone(*row) for row in await self._store.read(phone.listing)]})

    async def _add(self, request: Request) -> Response:
        given = bodies.read(await request.body(), bodies.NewPhone)
        wanted = _digits(given.number) if isinstance(given.number, str) else None

        def run(tx: Tx) -> str:
            number = wanted or phone.free_number(tx)
            if phone.find(tx, number):
                raise Refusal(409, "phone_exists", f"There is a phone {number} already: change it with PATCH.")
            phone.change(tx, number, given.columns())
            return number

        number = await self._store.write(run)
        return await self._changed(number, given, 201)

    async def _change(self, request: Request) -> Response:
        number, given = _number(request), bodies.read(await request.body(), bodies.Changes)
        await self._store.write(lambda tx: phone.change(tx, number, given.columns()))
        return await self._changed(number, given)

    async def _changed(self, number: str, given: bodies.Changes, status: int = 200) -> Response:
        if isinstance(given.online, bool):
            await actions.switch(self._network, number, given.online)
        return reply(await self._shown(number), status)

    async def _phone(self, request: Request) -> Response:
        return reply(await self._shown(_number(request)))

    async def _shown(self, number: str) -> dict[str, object]:
        rows = await self._store.read(phone.listing)
        found = next((row for row in rows if row[0].number == number), None)
        if found is None:
            raise phone.unknown(number)
        return shown.phone(*found)

    async def _delete(self, request: Request) -> Response:
        number = _number(request)

        def run(tx: Tx) -> list[str]:
            files = [one.file for one in messages.of_state(tx, number, "downloaded") if one.file]
            phone.forget(tx, number)
            return files

        await self._network.downloads.drop(await self._store.write(run))
        self._network.bells.ring(number)
        return Response(status_code=204)

    async def _act(self, request: Request) -> Response:
        number, wait = _number(request), _wait(request.query_params.get("wait"))
        given = bodies.read(await request.body(), bodies.Action)
        if given.do in actions.SENDING:
            sent = await actions.send(self._network, number, given)
            return reply({"message": await self._one_told(number, sent.id)})
        to = None if given.to is None else _digits(given.to)
        done = await actions.act(self._network, number, given.do, given.message, to)
        if done is None:
            return reply({"phone": await self._shown(number)})
        if done.state in ("server", "lost"):  # forwarded to a phone that does not have it yet
            return reply({"message": self._told(done, {}, {})})
        await self._until(done.phone, wait, lambda tx: messages.one(tx, done.phone, done.id).settled)
        return reply({"message": await self._one_told(done.phone, done.id)})

    async def _take_file(self, request: Request) -> Response:
        """Bytes that this phone is to send: named by their SHA-256, so that they can be sent any number of times."""
        _number(request)
        name, size = await self._network.downloads.take_given(request.stream())
        return reply({"file": name, "size": size}, 201)

    async def _conversations(self, request: Request) -> Response:
        number = _number(request)
        found = await self._store.read(lambda tx: conversation.listing(tx, number))
        return reply({"conversations": [asdict(one) for one in found]})

    async def _conversation(self, request: Request) -> Response:
        number, business = _number(request), request.path_params["business"]
        return reply(asdict(await self._store.read(lambda tx: conversation.one(tx, number, business))))

    async def _blocks(self, request: Request) -> Response:
        number, business, system = _number(request), request.path_params["business"], request.query_params.get("as")
        if system not in (None, *SYSTEMS):
            raise invalid(f"A phone is shown as {' or '.join(SYSTEMS)}, not as {system!r}.")
        under_way = set(self._network.downloads.under_way)

        def run(tx: Tx) -> dict[str, object]:
            found = conversation.one(tx, number, business)
            owner = phone.get(tx, number)
            drawn = conversation.blocks(tx, owner, found.business, system or owner.system, under_way)
            seen = {"phone": number, "system": system or owner.system, "timezone": owner.timezone}
            return {"view": VIEW, **seen, "conversation": asdict(found), "blocks": drawn}

        return reply(await self._store.read(run))

    async def _messages(self, request: Request) -> Response:
        number, query = _number(request), request.query_params
        wait, fits = _wait(query.get("wait")), shown.match(query.getlist("match"))
        after = await self._seq(number, query.get("after"))
        await self._until(number, wait, lambda tx: _arrived(tx, number, after, fits))
        found, sent, emoji = await self._store.read(
            lambda tx: (messages.on_phone(tx, number, after), mine.all_of(tx, number), mine.reactions(tx, number))
        )
        return reply({"messages": [self._told(message, sent, emoji) for message in found if fits(message)]})

    async def _seq(self, number: str, after: str | None) -> int:
        if after is None:
            return 0
        return (await self._store.read(lambda tx: messages.one(tx, number, after))).seq

    async def _until(self, number: str, wait: float, true: Callable[[Tx], bool]) -> None:
        """Return once the rows say yes, or the time is over."""
        bells, loop = self._network.bells, asyncio.get_running_loop()
        until = loop.time() + wait
        while (left := until - loop.time()) > 0 and not bells.silenced:
            changed = bells.next(number)
            if await self._store.read(true):
                return
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                return

    def _told(self, message: Message, sent: Mapping[int, Mine], emoji: Mapping[str, str]) -> dict[str, object]:
        told = shown.message(message, message.seq in self._network.downloads.under_way, sent.get(message.seq))
        return told | ({"reaction": emoji[message.id]} if message.id in emoji else {})

    async def _one_told(self, number: str, message_id: str) -> dict[str, object]:
        found, sent, emoji = await self._store.read(
            lambda tx: (messages.one(tx, number, message_id), mine.all_of(tx, number), mine.reactions(tx, number))
        )
        return self._told(found, sent, emoji)

    async def _one(self, request: Request) -> Message:
        number, message_id = _number(request), request.path_params["id"]
        return await self._store.read(lambda tx: messages.one(tx, number, message_id))

    async def _media(self, request: Request) -> Response:
        message = await self._one(request)
        media = message.envelope.media
        if media is None:
            raise Refusal(404, "no_media", f"The message {message.id!r} is of type {message.envelope.type} and has no media.")
        if message.state != "downloaded":
            reason = f": {message.reason.rstrip('.')}" if message.reason else ""
            raise Refusal(409, "not_downloaded", f"The media of message {message.id!r} is {message.state}{reason}.")
        file = self._network.downloads.file(message)
        if not await asyncio.to_thread(file.is_file):
            raise Refusal(404, "no_media", f"The phone's file of message {message.id!r} was removed by hand.")
        return _kept(file, media.mime_type, message.envelope.filename)

    async def _envelope(self, request: Request) -> Response:
        return reply((await self._one(request)).envelope)


def _arrived(tx: Tx, number: str, after: int, fits: Match) -> bool:
    """Whether the newest message that fits has come to rest."""
    newest = next((message for message in messages.newest_first(tx, number, after) if fits(message)), None)
    return newest is not None and newest.settled


def _number(request: Request) -> str:
    return _digits(request.path_params["number"])


def _digits(text: str) -> str:
    """`+1 (202) 555-0111` and `12025550111` name the same phone."""
    number = re.sub(r"[+\-(). ]", "", text)
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
