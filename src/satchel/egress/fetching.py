"""Fetching what a link leads to: a session of its own for each, so that every dial is judged and nothing is kept for the next."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from satchel.domain.errors import LINK_FAILED, LINK_TOO_LARGE, Fault, Later
from satchel.domain.messages import shown_link
from satchel.domain.quantities import shown_size
from satchel.egress.guard import Guard

if TYPE_CHECKING:
    import aiohttp
    from aiohttp import ClientResponse as Response
    from yarl import URL

TOTAL, CONNECT, SILENCE = 240.0, 5.0, 30.0
"""Seconds for a whole fetch, for a connection, and without a byte."""
REDIRECTS = 5
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be another in a while."""
BLOCK = 256 * 1024
WRITTEN = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
"""Scheme, authority, and what is asked for there."""
UNSENDABLE = re.compile(r"[^!-~]+")
"""Blanks, control characters and what is not ASCII: nothing of it may stand in a request's first line."""


@dataclass(frozen=True)
class Credentials:
    """`authorization`: the header's value; `hosts`: those it may go to, empty for the link's own."""

    authorization: str = field(repr=False)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """What came. `mime`: as the server calls it, empty where it does not; `length`: bytes where it says so; the blocks are read once."""

    mime: str
    length: int | None
    blocks: AsyncIterator[bytes]


@asynccontextmanager
async def fetch(guard: Guard, link: str, credentials: Credentials | None, most: int) -> AsyncIterator[Fetched]:
    """The body behind a link, redirects followed, each step judged anew. `most`: bytes it may have.

    Raises `Fault(LINK_FAILED | LINK_TOO_LARGE)` for good and `Later(LINK_FAILED)` for what may pass; reading the blocks raises them, too.
    """
    way = _Way(link)
    try:
        async with asyncio.timeout(TOTAL), _session(guard, way) as session, _followed(session, way, credentials) as answer:
            _check_length(answer.content_length, most)
            yield Fetched(answer.headers.get("Content-Type", ""), answer.content_length, _blocks(answer, way, most))
    except TimeoutError:
        raise Later(LINK_FAILED, f"{way.shown} was not fetched within {TOTAL:g} seconds.", 2.0) from None


class _Way:
    """On the way to a link. `shown`: without its query, which may be a secret."""

    def __init__(self, link: str) -> None:
        self.link, self.shown = link, shown_link(link)
        self._blocked, self._dialled = "", False

    def set_out(self) -> None:
        """The next step begins, to addresses of its own."""
        self._blocked, self._dialled = "", False

    def judged(self, address: str, open_: bool) -> None:
        """A name may have addresses of both sorts: it is closed only where none of them could be dialled."""
        if open_:
            self._dialled = True
        else:
            self._blocked = address

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what a connection raises into what it means."""
        import aiohttp

        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> Fault | Later:
        """A certificate or an address does not mend itself, anything else may."""
        import aiohttp

        if self._blocked and not self._dialled:
            opens = f"SATCHEL_EGRESS__ALLOW={self._blocked} opens it"
            return Fault(LINK_FAILED, f"{self.shown} leads to {self._blocked}, which is not public: {opens}.")
        if isinstance(error, ValueError):  # also of aiohttp, urllib and the codec of names
            return Fault(LINK_FAILED, f"{self.shown} is no address that can be fetched.")
        if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
            return Fault(LINK_FAILED, f"{self.shown}: the certificate is not trusted, or TLS failed.")
        if isinstance(error, TimeoutError):
            return Later(LINK_FAILED, f"{self.shown} did not answer in time.", 2.0)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return Later(LINK_FAILED, f"The name in {self.shown} does not resolve.", 2.0)
        return Later(LINK_FAILED, f"{self.shown}: the connection failed or broke off.", 2.0)


def _session(guard: Guard, way: _Way) -> "aiohttp.ClientSession":
    import aiohttp

    def dial(found: Any) -> socket.socket:
        family, kind, protocol, _, address = found
        is_open = guard.admits(str(address[0]))
        way.judged(str(address[0]), is_open)
        if not is_open:
            raise PermissionError(f"{address[0]} is not public")
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(socket_factory=dial, use_dns_cache=False, force_close=True)
    limit = aiohttp.ClientTimeout(total=None, connect=CONNECT, sock_read=SILENCE)
    return aiohttp.ClientSession(
        connector=connector, timeout=limit, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, read_bufsize=BLOCK
    )


@asynccontextmanager
async def _followed(
    session: "aiohttp.ClientSession", way: _Way, credentials: Credentials | None
) -> AsyncIterator["aiohttp.ClientResponse"]:
    with way.told():
        url = first = _address(way.link)
    for _ in range(REDIRECTS + 1):
        headers = {"User-Agent": "satchel", "Accept": "*/*", "Accept-Encoding": "identity"}
        way.set_out()
        with way.told():
            if credentials is not None and _may_have(credentials, url, first):
                headers["Authorization"] = credentials.authorization
            answer = await session.get(url, headers=headers, allow_redirects=False)
        async with answer:
            if answer.status not in {301, 302, 303, 307, 308}:
                _check_answer(way, answer)
                yield answer
                return
            url = _next(way, url, answer.headers.get("Location", ""))
    raise Fault(LINK_FAILED, f"{way.shown} is redirected more than {REDIRECTS} times.")


def _address(written: str) -> "URL":
    """Where an address leads, asked for as it is written: many a signature is over these very characters. Raises ValueError for none."""
    from yarl import URL

    if (parts := WRITTEN.fullmatch(written)) is None:
        raise ValueError("no http or https address")
    host = URL(f"{parts[1]}://{parts[2]}")
    asked = UNSENDABLE.sub(lambda found: quote(found[0].encode("utf-8", "surrogateescape"), safe=""), parts[3])
    # As a path, query and all: whatever takes an address apart to put it together again writes it in its own way.
    return URL.build(scheme=host.scheme, authority=host.raw_authority, path=asked if asked.startswith("/") else f"/{asked}", encoded=True)


def _next(way: _Way, url: "URL", location: str) -> "URL":
    with way.told():
        target = location if WRITTEN.fullmatch(location) else urljoin(str(url), location)
        if location and WRITTEN.fullmatch(target):
            return _address(target)
    raise Fault(LINK_FAILED, f"{way.shown} is redirected to no http or https address.")


def _may_have(credentials: Credentials, url: "URL", first: "URL") -> bool:
    """Credentials go to the origin they were meant for, and never over plain HTTP after HTTPS."""
    if credentials.hosts:
        return not {url.host, url.raw_host}.isdisjoint(credentials.hosts) and (url.scheme == "https" or first.scheme == "http")
    return _origin(url) == _origin(first)


def _origin(url: "URL") -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _check_answer(way: _Way, answer: "Response") -> None:
    told = f"{way.shown} was answered with HTTP {answer.status}"
    if answer.status in PASSING:
        raise Later(LINK_FAILED, f"{told}.", 2.0)
    if answer.status != 200:
        raise Fault(LINK_FAILED, f"{told}: put the file there, or give a provider with the right credentials.")
    codings = ",".join(answer.headers.getall("Content-Encoding", [])).lower().split(",")
    if {coding.strip() for coding in codings} - {"", "identity"}:
        raise Fault(LINK_FAILED, f"{way.shown} was answered compressed, which nobody asked for: serve it as it is.")


def _check_length(length: int | None, most: int) -> None:
    if length is not None and length > most:
        raise _too_large(length, most)


async def _blocks(answer: "Response", way: _Way, most: int) -> AsyncIterator[bytes]:
    size = 0
    while block := await _block(answer, way):
        size += len(block)
        if size > most:
            raise _too_large(size, most)
        yield block


async def _block(answer: "Response", way: _Way) -> bytes:
    """The client loses its own clock over a body whose framing breaks, and says RuntimeError where the connection has gone meanwhile."""
    with way.told():
        try:
            async with asyncio.timeout(SILENCE):
                return await answer.content.read(BLOCK)
        except RuntimeError as error:
            raise ConnectionError(str(error)) from error


def _too_large(size: int, most: int) -> Fault:
    return Fault(LINK_TOO_LARGE, f"What the link leads to has {size} bytes or more; the limit is {most} ({shown_size(most)}).")
