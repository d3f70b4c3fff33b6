"""The node's doors: state, upload, intake, and the download of an encrypted blob (docs/reference/sandbox-wire.md, 1 and 2)."""

import hmac
import logging
import re
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from . import envelope, messages, resending
from .copies import Copy
from .errors import Refusal, invalid
from .magic import habits
from .network import Network
from .replies import Handler, reply

log = logging.getLogger("sandbox.wire")

LARGEST_BLOB = 110 * 1024 * 1024  # bytes
LARGEST_ENVELOPE = 1024 * 1024  # bytes
INTAKE = "/wire/messages"
KINDS = ("image", "video", "audio", "document")

_TOKEN = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?")  # 32 bytes: the last digit carries four bits


class Wire:
    """Handlers over one network; `base` is the sandbox's own address, without a slash at the end."""

    def __init__(self, network: Network, secret: str, base: str) -> None:
        self._network, self._base = network, base
        self._authorization = f"Bearer {secret}".encode()
        self._refusing = False
        self.intake = self._authorized(self._send)

    def routes(self) -> list[Route]:
        return [
            Route("/wire/state", self._authorized(self._state)),
            Route(INTAKE, self.intake, methods=["POST"]),
            Route("/wire/messages/{id:path}/read", self._authorized(self._read), methods=["POST"]),
            Route("/wire/messages/{id:path}/media-retry-request", self._authorized(self._ask), methods=["POST"]),
            Route("/wire/messages/{id:path}/media-retry", self._authorized(self._retried), methods=["POST"]),
            Route("/wire/contacts", self._authorized(self._contacts), methods=["POST"]),
            Route("/wire/downloads", self._authorized(self._downloads), methods=["POST"]),
            Route("/mms/{kind}/{token}", self._authorized(self._upload), methods=["POST"]),
            Route("/v/{name}", self._download),
        ]

    def _authorized(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode("latin-1")
            fits = hmac.compare_digest(given, self._authorization)
            self._note(request, refusing=not fits)
            if not fits:
                raise Refusal(401, "unauthorized", "The secret is missing or wrong: node and sandbox must be given the same one.")
            return await handler(request)

        return checked

    def _note(self, request: Request, refusing: bool) -> None:
        """The node comes again and again: that it is refused is said once, and once that it is not any more."""
        if refusing and not self._refusing:
            peer = f"{request.client.host}:{request.client.port}" if request.client else "somewhere"
            log.warning(
                "a node that asks from %s is refused, its secret is missing or wrong: if it is to use this network, start both with "
                "the same one, see SATCHEL_UPSTREAM__SECRET; else it was given this port by mistake",
                peer,
            )
        elif self._refusing and not refusing:
            log.info("the node's secret fits now")
        self._refusing = refusing

    async def _state(self, _: Request) -> Response:
        clock = self._network.clock
        return reply({"world": self._network.world.id, "now": clock.now(), "offset": clock.offset})

    async def _send(self, request: Request) -> Response:
        await self._network.chaos.refuse("dispatch")
        body = b"".join([block async for block in _capped(request, LARGEST_ENVELOPE)])
        message = envelope.parse(body)
        return reply({"id": message.id, "at": await self._network.send(message)})

    async def _read(self, request: Request) -> Response:
        await self._network.seen(request.path_params["id"])
        return reply({})

    async def _ask(self, request: Request) -> Response:
        body = b"".join([block async for block in _capped(request, LARGEST_ENVELOPE)])
        await self._network.resending.ask(request.path_params["id"], resending.read(body))
        return reply({})

    async def _retried(self, request: Request) -> Response:
        await self._network.chaos.refuse("dispatch")
        body = b"".join([block async for block in _capped(request, LARGEST_ENVELOPE)])
        await self._network.answered(request.path_params["id"], envelope.parse_answered(body))
        return reply({})

    async def _contacts(self, request: Request) -> Response:
        body = b"".join([block async for block in _capped(request, LARGEST_ENVELOPE)])
        asked = envelope.parse_numbers(body)
        return reply({"contacts": [{"number": number, "on_network": habits(number).on_network} for number in asked]})

    async def _downloads(self, request: Request) -> Response:
        body = b"".join([block async for block in _capped(request, LARGEST_ENVELOPE)])
        asked = envelope.parse_messages(body)
        return reply({"downloaded": await self._network.store.read(lambda tx: messages.downloaded(tx, asked))})

    async def _upload(self, request: Request) -> Response:
        kind, token = request.path_params["kind"], request.path_params["token"]
        if kind not in KINDS:
            raise invalid(f"The kind {kind!r} is unknown: use {', '.join(KINDS)}.")
        if not _TOKEN.fullmatch(token):
            raise invalid("The token is not the base64url of a SHA-256.")
        if "content-length" not in request.headers:
            raise invalid("The upload has no Content-Length: name the length of the encrypted blob.")
        token, length = token.rstrip("="), int(request.headers["content-length"])
        if length > LARGEST_BLOB:
            raise invalid(f"The encrypted blob has {length} bytes, the most is {LARGEST_BLOB}.")
        await self._network.chaos.refuse("upload")
        if length == 0 and request.query_params.get("resume") == "1":
            found = await self._network.look(token)
            return reply({"resume": "complete", **self._shown(found)} if isinstance(found, Copy) else {"resume": str(found)})
        offset = _offset(request)
        body = _capped(request, LARGEST_BLOB - offset)
        return reply(self._shown(await self._network.upload(kind, token, body, offset)))

    def _shown(self, copy: Copy) -> dict[str, object]:
        return {"url": self._base + copy.direct_path, "direct_path": copy.direct_path, "expires": copy.expires}

    async def _download(self, request: Request) -> Response:
        await self._network.chaos.refuse("download")
        file = await self._network.download(f"{request.url.path}?{request.url.query}")
        return _Blob(file, media_type="application/octet-stream")


class _Blob(FileResponse):
    chunk_size = 512 * 1024  # bytes; each read is a visit to a thread


def _offset(request: Request) -> int:
    """Where in the encrypted blob the body begins."""
    given = request.query_params.get("file_offset", "0")
    if not (given.isascii() and given.isdigit()) or int(given[:20]) > LARGEST_BLOB:
        raise invalid(f"The file_offset {given[:40]!r} is no number of bytes up to {LARGEST_BLOB}.")
    return int(given)


async def _capped(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body, refused once it is larger than allowed."""
    size = 0
    async for block in request.stream():
        size += len(block)
        if size > most:
            raise invalid(f"The body is larger than {most} bytes.")
        yield block
