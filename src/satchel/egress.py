"""The only client for addresses that somebody typed. For now: webhook URLs, which are an administrator's (any address, no redirects)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

TIMEOUT, CONNECT = 15.0, 5.0
"""Seconds for a whole attempt, and for its connection alone."""
SILENT = {
    "ClientConnectorDNSError": "its name does not resolve",
    "ClientConnectorError": "nobody listens there",
    "ClientConnectorCertificateError": "its certificate is not trusted",
    "TimeoutError": "it does not answer in time",
}


@dataclass(frozen=True)
class Answer:
    """`result`: the HTTP status as text, or what went wrong in one word; `ms`: how long it took."""

    result: str
    ms: int

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
        return SILENT.get(self.result, f"it does not answer as it should, {self.result}")


class Egress:
    """Keeps connections; close it at the end."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def call_back(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST a callback's JSON. Never raises for what the other side does: the answer says it."""
        return await self._ask("POST", url, {**headers, "Content-Type": "application/json"}, body)

    async def knock(self, url: str) -> Answer:
        """Ask a webhook's URL for nothing, to see whether somebody answers there."""
        return await self._ask("GET", url, {})

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        import aiohttp

        started = time.monotonic()
        try:
            limit = aiohttp.ClientTimeout(total=TIMEOUT, connect=CONNECT)
            sent = {**headers, "User-Agent": "satchel"}
            async with self._connect().request(method, url, data=body, headers=sent, timeout=limit, allow_redirects=False) as answer:
                result = str(answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            result = type(error).__name__
        return Answer(result, int((time.monotonic() - started) * 1000))

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    def _connect(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        return self._session
