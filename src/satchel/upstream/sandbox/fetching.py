"""Received media on their way in: the encrypted blob is fetched, checked and opened while it comes. Knows no rows and no volume."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from satchel.domain.errors import RECEIVED_DAMAGED, RECEIVED_GONE, UPSTREAM_DOWN, Fault, Later
from satchel.upstream.sandbox import wire
from satchel.upstream.sandbox.decryption import Damaged, Opening
from satchel.upstream.sandbox.incoming import PATH, Source
from satchel.upstream.sandbox.retry import Result, Sealed, Unreadable, open_answer, seal_request

if TYPE_CHECKING:
    import aiohttp

BLOCK = 1 << 20
"""Bytes that are opened in one visit to a thread, which costs as much as hashing a part of them."""
GONE = frozenset({403, 404, 410})
"""What the media server says of a blob that is over, or was never there."""
SILENT, SLOW, CONNECT = 15.0, 300.0, 3.0
"""Seconds without a byte, for the whole, and for the connection alone."""


class _Answer(msgspec.Struct, frozen=True):
    enc_p: bytes = b""
    enc_iv: bytes = b""
    error: int | None = None


def source_of(text: str) -> Source:
    """The text of the remote table, read."""
    return msgspec.json.decode(text, type=Source)


@asynccontextmanager
async def opened(session: "aiohttp.ClientSession", source: Source) -> AsyncIterator[AsyncIterator[bytes]]:
    """The plain bytes behind a source, as `Upstream.fetch` promises them."""
    answer = await _get(session, source)
    try:
        if answer.status in GONE:
            raise Fault(RECEIVED_GONE, f"The network does not hold this media any more (it answered {answer.status}).")
        if answer.status != 200:
            raise Later(UPSTREAM_DOWN, f"The media server answered {answer.status}: see its log.")
        yield _plain(answer, Opening(source))
    finally:
        answer.close()


async def _get(session: "aiohttp.ClientSession", source: Source) -> "aiohttp.ClientResponse":
    import aiohttp
    from yarl import URL

    limit = aiohttp.ClientTimeout(total=SLOW, connect=CONNECT, sock_read=SILENT)
    try:
        return await session.get(URL(source.direct_path, encoded=True), timeout=limit, allow_redirects=False, read_bufsize=BLOCK)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise _silent(error) from error


async def _plain(answer: "aiohttp.ClientResponse", opening: Opening) -> AsyncIterator[bytes]:
    import aiohttp

    is_last = False
    while not is_last:
        try:
            blocks, is_last = await _gathered(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _silent(error) from error
        try:
            plain = await asyncio.to_thread(_open, opening, blocks, is_last)
        except Damaged as damaged:
            raise Fault(RECEIVED_DAMAGED, f"The media is damaged: {damaged}. Ask the sender to send it again.") from None
        for block in plain:
            yield block


async def _gathered(content: "aiohttp.StreamReader") -> tuple[list[bytes], bool]:
    """Some blocks, and whether they are the last."""
    blocks: list[bytes] = []
    size = 0
    while size < BLOCK and (block := await content.readany()):
        blocks.append(block)
        size += len(block)
    return blocks, content.at_eof()


def _open(opening: Opening, blocks: list[bytes], is_last: bool) -> list[bytes]:
    plain = [opening.take(block) for block in blocks]
    if is_last:
        plain.append(opening.finish())
    return [block for block in plain if block]


def _silent(error: Exception) -> Later:
    return Later(
        UPSTREAM_DOWN, f"The media server does not answer as it should ({type(error).__name__}): start the network, or see its log."
    )


def request_json(message: str, source: Source, world: str | None) -> bytes:
    """The body that asks a sender's phone for media that are over."""
    sealed = seal_request(source.media_key, message)
    return msgspec.json.encode({"world": world, "enc_p": sealed.enc_p, "enc_iv": sealed.enc_iv})


def moved(message: str, source: Source, answer: str) -> Source:
    """Where the media lies after the phone's answer. Raises `Fault(RECEIVED_GONE)`, or `Later` for what may go better another time."""
    try:
        said = msgspec.json.decode(answer, type=_Answer)
        if said.error is None:
            found = open_answer(source.media_key, message, Sealed(said.enc_p, said.enc_iv))
        elif said.error in set(Result):
            raise _refused(Result(said.error))
        else:
            raise Unreadable("an error that nobody knows")
    except (Unreadable, *wire.UNREADABLE) as error:
        raise Fault(RECEIVED_GONE, f"The answer of the sender's phone cannot be read ({error}): ask the sender to send it again.") from None
    if found.direct_path is None or not PATH.fullmatch(found.direct_path):
        raise _refused(found.result)
    return msgspec.structs.replace(source, direct_path=found.direct_path)


def _refused(result: Result) -> Fault:
    told = "does not have it any more" if result is Result.NOT_FOUND else f"could not send it again ({result.name})"
    return Fault(
        RECEIVED_GONE, f"The network does not hold this media any more, and the sender's phone {told}: ask the sender to send it again."
    )
