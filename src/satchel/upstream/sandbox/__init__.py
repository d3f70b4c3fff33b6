"""Upstream `sandbox`: the adapter for the simulated network, over HTTP and nothing else."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

import msgspec

from satchel.domain.errors import MEDIA_CHANGED, RECEIVED_GONE, UPSTREAM_DOWN, Fault, Later, storage_fault
from satchel.domain.limits import encrypted_size
from satchel.domain.media import Rendition
from satchel.upstream import Config, Copy, Envelope, Request, State, Unrenewed, UpstreamEvents
from satchel.upstream.sandbox import wire

if TYPE_CHECKING:
    import aiohttp

IN_MEMORY = (1 << 20) - 64
"""Files up to this many bytes are encrypted in memory, larger ones into a nameless file on the volume. So much in one piece, and no more,
is sent without a warning.
"""
PATHS = {"image": "image", "sticker": "image", "video": "video", "audio": "audio", "document": "document"}
RESUMED = 5 << 20
"""From so many bytes on it is asked how much of a blob an earlier upload has brought."""
QUICK, SLOW, CONNECT = 15.0, 300.0, 3.0
"""Seconds for a call without a body, with one, and for the connection alone."""
ANSWER_BYTES = 1 << 20


class _Uploaded(msgspec.Struct, frozen=True):
    direct_path: str
    expires: float


class _Looked(msgspec.Struct, frozen=True):
    resume: str
    direct_path: str = ""
    expires: float = 0.0

    @property
    def offset(self) -> int:
        """How many bytes the network has of a blob that is not complete."""
        return int(self.resume) if self.resume.isascii() and self.resume.isdigit() and len(self.resume) < 12 else 0


_NOTHING = _Looked("0")
"""What is believed of a network that somebody could not get a blob from: that it has none of it."""


def _placed(address: wire.Address, direct_path: str, expires: float) -> Copy:
    placed = wire.Address(direct_path, address.file_enc_sha256, address.file_length, address.sidecar)
    return Copy(msgspec.json.encode(placed).decode(), expires)


def _body(blob: BinaryIO) -> BinaryIO | bytes:
    """The blob from where it stands; a file as one that may be closed: whoever sends it does so, and we may have to send it again."""
    if isinstance(blob, io.BytesIO):
        return blob.getvalue()
    return os.fdopen(os.dup(blob.fileno()), "rb", buffering=0)


class Sandbox:
    """`spool` opens a nameless temporary file for so many bytes, on the volume where that has room.

    `open_plain` opens a file of the volume and nothing put in its place.
    """

    name = "sandbox"

    def __init__(self, config: Config, spool: Callable[[int], BinaryIO], open_plain: Callable[[Path], BinaryIO]) -> None:
        self._config = config
        self._spool = spool
        self._open = open_plain
        self._session: aiohttp.ClientSession | None = None

    async def put(self, rendition: Rendition, path: Path, known: str | None, force: bool = False) -> Copy:
        before = None if known is None else msgspec.json.decode(known, type=wire.Address)
        looked = None
        if before is not None and not force:
            looked = await self._look(f"/mms/{PATHS[rendition.media_type]}/{before.token}")
            if looked.resume == "complete":  # its time has just started anew
                return _placed(before, looked.direct_path, looked.expires)
        blob, address = await asyncio.to_thread(self._seal, rendition, path, before)
        try:
            stored = await self._upload(rendition, blob, address, looked or (_NOTHING if force else None))
        finally:
            blob.close()
        return _placed(address, stored.direct_path, stored.expires)

    async def _upload(self, rendition: Rendition, blob: BinaryIO, address: wire.Address, looked: _Looked | None) -> "_Uploaded | _Looked":
        """All of the blob, or what an earlier upload that broke off has left to do. `looked`: what the network has of it, where known."""
        size, door = encrypted_size(address.file_length), f"/mms/{PATHS[rendition.media_type]}/{address.token}"
        if size >= RESUMED:
            looked = looked or await self._look(door)
            if looked.resume == "complete":
                return looked
            if 0 < (offset := looked.offset) < size and (went_on := await self._go_on(door, blob, offset, size)) is not None:
                return went_on
            await asyncio.to_thread(blob.seek, 0)
        uploaded: _Uploaded = _read(await self._call("POST", door, _body(blob), size), _Uploaded)
        return uploaded

    async def _go_on(self, door: str, blob: BinaryIO, offset: int, size: int) -> "_Uploaded | None":
        """From where the network has it; None when it then says that what it has is not ours."""
        await asyncio.to_thread(blob.seek, offset)
        try:
            uploaded: _Uploaded = _read(await self._call("POST", f"{door}?file_offset={offset}", _body(blob), size - offset), _Uploaded)
        except Fault:
            return None
        return uploaded

    async def send(self, envelope: Envelope) -> None:
        await self._call("POST", "/wire/messages", wire.envelope_json(envelope, self._config.number))

    def events(self, headers: Mapping[str, str], body: bytes) -> UpstreamEvents:
        wire.verified(self._config.secret, headers, body)
        return wire.read_events(body)

    async def state(self) -> State:
        said = _read(await self._call("GET", "/wire/state"), _State)
        if not abs(said.offset) <= wire.FARTHEST or "\0" in said.world:
            raise Later(UPSTREAM_DOWN, f"The network at {self._config.url} tells a time or a world that cannot be: see its log.")
        return State(said.world, said.offset)

    async def on_network(self, numbers: Sequence[str]) -> list[bool]:
        answer = _read(await self._call("POST", "/wire/contacts", wire.contacts_json(numbers)), wire.Contacts)
        said: list[bool] = answer.of(numbers)
        return said

    async def downloaded(self, messages: Sequence[str]) -> set[str]:
        answer: wire.Downloads = _read(await self._call("POST", "/wire/downloads", wire.downloads_json(messages)), wire.Downloads)
        return set(answer.downloaded)

    async def mark_read(self, message: str) -> None:
        await self._call("POST", f"/wire/messages/{quote(message, safe='')}/read", b"")

    @asynccontextmanager
    async def fetch(self, source: str) -> AsyncIterator[AsyncIterator[bytes]]:
        # Imported where they are used: a Webapp takes events and opens no blob.
        from satchel.upstream.sandbox import fetching

        async with fetching.opened(self._connect(), fetching.source_of(source)) as blocks:
            yield blocks

    async def ask_sender(self, message: str, source: str) -> None:
        from satchel.upstream.sandbox import fetching

        body = fetching.request_json(message, fetching.source_of(source), None)
        try:
            await self._call("POST", f"/wire/messages/{quote(message, safe='')}/media-retry-request", body)
        except Fault as fault:
            raise Fault(RECEIVED_GONE, f"The network cannot ask the sender for this media: {fault.details}") from fault

    def sender_said(self, message: str, source: str, answer: str) -> str:
        from satchel.upstream.sandbox import fetching

        return msgspec.json.encode(fetching.moved(message, fetching.source_of(source), answer)).decode()

    def opens(self, request: Request, media_key: bytes) -> bool:
        return wire.opens(request, media_key)

    def names(self, request: Request, address: str) -> bool:
        return wire.failed_path(request) == msgspec.json.decode(address, type=wire.Address).direct_path

    async def renew(self, request: Request, media_key: bytes | None, answer: Copy | Unrenewed) -> None:
        await self._call(
            "POST", f"/wire/messages/{quote(request.message, safe='')}/media-retry", wire.answer_json(request, media_key, answer)
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _look(self, door: str) -> _Looked:
        """Ask before sending bytes: an encrypted blob that the network still holds starts its time anew."""
        looked: _Looked = _read(await self._call("POST", f"{door}?resume=1", b""), _Looked)
        return looked

    def _seal(self, rendition: Rendition, path: Path, before: wire.Address | None = None) -> tuple[BinaryIO, wire.Address]:
        """Encrypt, and make sure before anything leaves that these were the rendition's bytes. Runs in a thread.

        `before`: of an earlier copy, whose blob was the same to the bit.
        """
        # Imported where it is used: a Webapp verifies events and never encrypts.
        from satchel.upstream.sandbox.encryption import Readable, Sealed, encrypt

        sums = None if before is None else Sealed(b"", before.file_enc_sha256, before.file_length, before.sidecar)
        blob = io.BytesIO() if rendition.size <= IN_MEMORY else self._spool(encrypted_size(rendition.size))
        try:
            with self._open(path) as source:
                sealed = encrypt(cast(Readable, source), blob, rendition.media_type, rendition.media_key, rendition.size, sums)
            if sealed.file_sha256.hex() != rendition.sha256:
                raise Fault(MEDIA_CHANGED, "The file on the media volume was changed after it had been accepted: upload it again.")
            blob.seek(0)
        except OSError as error:
            blob.close()
            raise storage_fault(error, "the encrypted blob") from error
        except BaseException:
            blob.close()
            raise
        return blob, wire.Address("", sealed.file_enc_sha256, sealed.file_length, sealed.sidecar)

    async def _call(self, method: str, path: str, body: bytes | BinaryIO | None = None, size: int | None = None) -> bytes:
        import aiohttp

        headers = {"Authorization": f"Bearer {self._config.secret}", "Content-Type": "application/octet-stream"}
        if size is not None:
            headers["Content-Length"] = str(size)
        limit = aiohttp.ClientTimeout(total=QUICK if size is None else SLOW, connect=CONNECT)
        try:
            async with self._connect().request(method, path, data=body, headers=headers, timeout=limit, allow_redirects=False) as answer:
                said = await answer.content.read(ANSWER_BYTES)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Later(
                UPSTREAM_DOWN,
                f"The network at {self._config.url} does not answer ({type(error).__name__}): start it, or set SATCHEL_UPSTREAM__URL.",
            ) from error
        if status == 200:
            return said
        if 400 <= status < 500 and (refused := wire.refusal(said)) is not None:
            raise refused
        hint = self._secret_hint() if status == 401 else "see its log"
        raise Later(UPSTREAM_DOWN, f"The network at {self._config.url} answered {status}: {hint}.")

    def _secret_hint(self) -> str:
        if not self._config.secret:
            return "no secret is set here, set SATCHEL_UPSTREAM__SECRET to what it has as SATCHEL_SANDBOX_SECRET"
        return "its secret is another one, start both with the same, see SATCHEL_UPSTREAM__SECRET"

    def _connect(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                self._config.url, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session


class _State(msgspec.Struct, frozen=True):
    world: str
    offset: float = 0.0


def _read(answer: bytes, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(answer, type=shape)
    except wire.UNREADABLE as error:
        raise Later(UPSTREAM_DOWN, f"The network's answer could not be read: {error}.") from error
