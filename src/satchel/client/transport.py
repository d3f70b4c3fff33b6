"""Requests and answers over the standard library's http.client.

A command must start in a fifth of a second, half of which a larger library takes to import.
"""

import http.client
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from satchel.client.connection import BLOCK, connect, why
from satchel.client.errors import ClientError as ClientError
from satchel.client.errors import FileUnreadable as FileUnreadable
from satchel.client.errors import Unreachable, refusal

NEXT = re.compile(r'<[^>]*\?([^>]*)>\s*;\s*rel="?next"?')
Connection = http.client.HTTPConnection
Moved = Callable[[int], object]
"""Is told how many bytes have just gone over the wire."""


@dataclass(frozen=True)
class Target:
    """`url`: of the node; `token`: a bearer token; `ca`: a PEM file to trust over https besides the machine's own."""

    url: str
    token: str
    ca: str | None = None

    def __repr__(self) -> str:
        return f"Target(url={self.url!r})"


def unwatched(count: int) -> None:
    """For callers whom progress does not interest."""


class Watched:
    """A file on its way up: exactly `size` bytes of it, each block told of. Raises `FileUnreadable`, also when it turns out shorter."""

    def __init__(self, file: BinaryIO, size: int, moved: Moved) -> None:
        self._file, self._left, self._moved = file, size, moved

    def read(self, most: int = BLOCK) -> bytes:
        try:
            block = self._file.read(min(most, self._left))
        except OSError as error:
            raise FileUnreadable(self._file.name, error.strerror) from error
        if not block and self._left:
            raise FileUnreadable(self._file.name, f"it became {self._left} bytes shorter while it was being sent")
        self._left -= len(block)
        self._moved(len(block))
        return block


class Readable(Protocol):
    """A body that is read in blocks while it goes out."""

    def read(self, most: int = ..., /) -> bytes:
        """The next bytes, at most so many; none at the end."""


class Again(Readable):
    """A body that can be sent once more from its beginning."""

    def rewind(self) -> bool:
        """Go back to the beginning; False where that cannot be."""
        raise NotImplementedError


Body = bytes | Readable | None


class Transport:
    """Every call opens a connection of its own and raises `ClientError` or `Unreachable`."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def json(self, method: str, path: str, body: Body = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """A call that answers JSON."""
        return self.page(method, path, body, headers)[0]

    def page(self, method: str, path: str, body: Body = None, headers: dict[str, str] | None = None) -> tuple[dict[str, Any], str | None]:
        """The same, and the query of the page behind this one."""
        with self.answer(method, path, body, headers) as answer, self._talking():
            said: dict[str, Any] = json.loads(answer.read())
            following = NEXT.search(answer.headers.get("Link", ""))
        return said, following[1] if following else None

    @contextmanager
    def answer(
        self, method: str, path: str, body: Body = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request, if it is a 2xx."""
        connection, answer = self._answered(method, path, body, headers or {})
        try:
            yield answer
        finally:
            connection.close()

    def _token(self) -> str:
        return self._target.token

    def _answered(self, method: str, path: str, body: Body, headers: dict[str, str]) -> "tuple[Connection, http.client.HTTPResponse]":
        """A connection that has answered with a 2xx; the caller closes it."""
        connection, prefix = connect(self._target.url, self._target.ca)
        try:
            with self._talking():
                given = {"Authorization": f"Bearer {self._token()}", **headers}
                try:
                    connection.request(method, prefix + path, body, given)
                except (BrokenPipeError, ConnectionResetError):
                    if connection.sock is None:
                        raise
                    # A node that refuses an upload early has answered and does not read on.
                answer = connection.getresponse()
                if answer.status >= 300:
                    raise _error(answer, path)
        except BaseException:
            connection.close()
            raise
        return connection, answer

    def blocks(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        """The body of an answer, checked to be whole."""
        left = answer.length or 0
        with self._talking():
            while block := answer.read(BLOCK):
                left -= len(block)
                yield block
        if left:
            raise Unreachable(f"{self._target.url} broke off {left} bytes before the end: fetch it again.")

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(why(self._target.url, error)) from error


def _error(answer: http.client.HTTPResponse, path: str) -> ClientError:
    slug = answer.headers.get("Satchel-Error", "")
    try:
        code, title, details = _said(json.loads(answer.read()))
    except (ValueError, KeyError, IndexError, TypeError):
        code, title, details = 0, answer.reason, ""
    if answer.status == 404 and path.startswith("/v1/media/"):  # the one answer of the contract without a body
        code, title = code or 1006, title or "Resource not found"
        details = details or f"There is no media {path.rpartition('/')[2]}: it was never uploaded here, or it was deleted."
    return refusal(answer.status, code, title, details, slug, answer.headers.get("X-Request-Id", ""))


def _said(body: dict[str, Any]) -> tuple[int, str, str]:
    """Code, title and details of the contract's envelope, of a problem (RFC 9457) or of a sandbox's refusal."""
    if "errors" in body:
        said = body["errors"][0]
        return int(said["code"]), str(said["title"]), str(said.get("details", ""))
    if "error" in body:  # the simulated network's, at whose port somebody looks for the node
        return 0, str(body["error"]), str(body["details"])
    return int(body["onprem_code"]), str(body["title"]), str(body.get("detail", ""))
