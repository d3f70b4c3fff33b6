"""The only client for addresses that somebody typed: links (public ones, redirects judged anew) and webhook URLs, which are an

administrator's (any address, no redirects). Answers to callbacks are never read, only their status.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from satchel.domain.answers import in_words
from satchel.egress.fetching import Credentials, Fetched, fetch
from satchel.egress.guard import Guard

if TYPE_CHECKING:
    import aiohttp

TIMEOUT, CONNECT = 15.0, 5.0
FOR_EXCERPT, EXCERPT = 1.0, 300
"""Seconds for a whole attempt, and for its connection alone."""


@dataclass(frozen=True)
class Config:
    """`allow`: networks that links may lead to beside the public ones. `nat64`: this network's own prefix for IPv4 addresses, /96."""

    allow: tuple[str, ...] = field(default=(), metadata={"unit": "list"})
    nat64: str = ""

    def __post_init__(self) -> None:
        try:
            Guard(self.allow, self.nat64 or None)
        except ValueError as error:
            raise ValueError(f"allow and nat64 must be networks such as 10.0.0.0/8: {error}") from None


@dataclass(frozen=True)
class Answer:
    """`result`: the HTTP status as text, or what went wrong in one word; `ms`: how long it took; `connected`: somebody listens there.

    `excerpt`: how the body of an answer that is not 200 begins, up to 300 printable characters.
    """

    result: str
    ms: int
    connected: bool = True
    excerpt: str = ""

    @property
    def ok(self) -> bool:
        """Only 200 counts as taken."""
        return self.result == "200"

    @property
    def came(self) -> bool:
        """Whether the other side answered at all."""
        return self.result.isdigit()

    @property
    def broken(self) -> bool:
        """Whether something is wrong there. One that knows nothing but POST may say 501 to a GET."""
        return not self.came or 500 <= int(self.result) != 501

    @property
    def sentence(self) -> str:
        """How it went, for people."""
        if self.came:
            return f"it answers with {self.result} within {self.ms} ms"
        return in_words(self.result)


class Egress:
    """Keeps connections to webhooks; close it at the end. Raises ValueError for networks that are none."""

    def __init__(self, config: Config = Config()) -> None:
        self._guard = Guard(config.allow, config.nat64 or None)
        self._session: aiohttp.ClientSession | None = None

    def fetch(self, link: str, credentials: Credentials | None, most: int) -> AbstractAsyncContextManager[Fetched]:
        """What lies behind a link, see `fetching.fetch`."""
        return fetch(self._guard, link, credentials, most)

    async def call_back(self, url: str, body: bytes, headers: Mapping[str, str], ca: str = "") -> Answer:
        """POST a callback's JSON. Never raises for what the other side does: the answer says it. `ca`: PEM, trusted beside the usual."""
        return await self._ask("POST", url, {**headers, "Content-Type": "application/json"}, body, ca)

    async def knock(self, url: str, ca: str = "") -> Answer:
        """Ask a webhook's URL for nothing, to see whether somebody answers there."""
        return await self._ask("GET", url, {}, None, ca)

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None, ca: str) -> Answer:
        import aiohttp

        started, connected, excerpt = time.monotonic(), True, ""
        try:
            limit = aiohttp.ClientTimeout(total=TIMEOUT, connect=CONNECT)
            sent = {**headers, "User-Agent": "satchel"}
            trust = trusting(ca) if ca else True
            asked = self._connect().request(method, url, data=body, headers=sent, timeout=limit, allow_redirects=False, ssl=trust)
            async with asked as answer:
                result, ms = str(answer.status), _since(started)
                if method == "POST" and answer.status != 200:
                    excerpt = await _beginning(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            result, ms = type(error).__name__, _since(started)
            connected = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | ValueError)
        return Answer(result, ms, connected, excerpt)

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    def _connect(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, use_dns_cache=False)  # how many callbacks run at once is the lanes' affair
            self._session = aiohttp.ClientSession(
                connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)


async def _beginning(answer: "aiohttp.ClientResponse") -> str:
    """What a person sees of it. An answer that breaks off or does not come to its end is an answer all the same."""
    import aiohttp

    try:
        async with asyncio.timeout(FOR_EXCERPT):
            block = await answer.content.read(EXCERPT * 4)
    except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError):
        return ""
    text = block.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text[:EXCERPT]).strip()


@lru_cache(maxsize=4)
def trusting(ca: str) -> ssl.SSLContext:
    """TLS that also trusts these certificates (PEM). Raises ValueError when there is none among them."""
    context = ssl.create_default_context()
    before = len(context.get_ca_certs())
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"no certificate in PEM form can be read from it ({error})") from None
    if len(context.get_ca_certs()) == before and "BEGIN CERTIFICATE" not in ca:
        raise ValueError("it holds no certificate in PEM form")
    return context
