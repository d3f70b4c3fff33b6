"""A typed client for the node's HTTP API. Imports nothing else of Satchel, so it works against any node that speaks the contract.

On the standard library's http.client: a command must start in a fifth of a second, half of which a larger library takes to import.
"""

import http.client
import json
import mimetypes
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import urlsplit

BLOCK = 256 * 1024
TIMEOUT = 300.0
"""Seconds that the other side may stay silent."""


class ClientError(Exception):
    """The node said no. `code`, `title`, `details`: from its envelope; `status`: of HTTP; `slug`: the header Satchel-Error."""

    def __init__(self, status: int, code: int, title: str, details: str, slug: str) -> None:
        super().__init__(f"{details or title} (HTTP {status}{f', code {code}' if code else ''})")
        self.status = status
        self.code = code
        self.title = title
        self.details = details
        self.slug = slug


class Unreachable(Exception):
    """Nobody answers at the address, or the connection broke."""


@dataclass(frozen=True)
class Target:
    """`url`: of the node; `token`: a bearer token; `ca`: a PEM file to trust over https besides the machine's own."""

    url: str
    token: str
    ca: str | None = None

    def __repr__(self) -> str:
        return f"Target(url={self.url!r})"


class Client:
    """Every call opens a connection of its own and raises `ClientError` or `Unreachable`."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def upload(self, path: Path, mime: str | None = None) -> str:
        """Store a file, streamed; the media id. `mime`: guessed from the name unless given."""
        mime = mime or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        with path.open("rb") as file:
            answer = self._json("POST", "/v1/media", file, {"Content-Type": mime, "Content-Length": str(path.stat().st_size)})
        return str(answer["media"][0]["id"])

    @contextmanager
    def get(self, media_id: str) -> Iterator[Iterator[bytes]]:
        """The bytes of a media, in blocks."""
        with self._answer("GET", f"/v1/media/{media_id}") as answer:
            yield self._blocks(answer)

    def delete(self, media_id: str) -> None:
        """Delete a media."""
        self._json("DELETE", f"/v1/media/{media_id}")

    def send(
        self, type_: Literal["image", "document"], to: str, media_id: str, caption: str | None = None, filename: str | None = None
    ) -> str:
        """Send a media to a number; the message id. What becomes of it is told by callbacks."""
        media = {"id": media_id, "caption": caption, "filename": filename}
        body = {"to": to, "type": type_, type_: {name: value for name, value in media.items() if value is not None}}
        return str(self._json("POST", "/v1/messages", json.dumps(body).encode())["messages"][0]["id"])

    def _json(self, method: str, path: str, body: bytes | BinaryIO | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        with self._answer(method, path, body, headers) as answer, self._talking():
            said: dict[str, Any] = json.loads(answer.read())
        return said

    @contextmanager
    def _answer(
        self, method: str, path: str, body: bytes | BinaryIO | None = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request, if it is a 2xx."""
        connection, prefix = connect(self._target.url, self._target.ca)
        try:
            with self._talking():
                given = {"Authorization": f"Bearer {self._target.token}", **(headers or {})}
                try:
                    connection.request(method, prefix + path, body, given)
                except (BrokenPipeError, ConnectionResetError):
                    if connection.sock is None:
                        raise
                    # A node that refuses an upload early has answered and does not read on.
                answer = connection.getresponse()
                if answer.status >= 300:
                    raise _error(answer)
            yield answer
        finally:
            connection.close()

    def _blocks(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
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
            raise Unreachable(_why(self._target.url, error)) from error


def connect(url: str, ca: str | None = None) -> tuple[http.client.HTTPConnection, str]:
    """A connection to an address, not opened yet, and the path it stands at. Raises `Unreachable` for what is no address.

    `ca`: a PEM file of certificates to trust over https, besides the machine's own.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable(f"{url} is no address such as http://127.0.0.1:9090.")
    path = parts.path.rstrip("/")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT, blocksize=BLOCK), path
    context = _trust(ca)
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT, blocksize=BLOCK, context=context), path


def _trust(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise Unreachable(f"The CA file {ca} cannot be used ({error.strerror or error}): name a PEM file that can be read.") from error
    return context


def _why(url: str, error: Exception) -> str:
    """What a person can do about an address that does not answer as it should."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {url} is not trusted ({error.verify_message}): name the PEM file of its CA in SATCHEL_CA."
    if isinstance(error, ssl.SSLError):
        return f"{url} does not speak TLS as it should ({error.reason}): is the node there started with https?"
    return (
        f"{url} does not answer as it should ({type(error).__name__}): is the node running there, and with http or https as in the address?"
    )


def _error(answer: http.client.HTTPResponse) -> ClientError:
    slug = answer.headers.get("Satchel-Error", "")
    try:
        said = json.loads(answer.read())["errors"][0]
        return ClientError(answer.status, int(said["code"]), str(said["title"]), str(said.get("details", "")), slug)
    except (ValueError, KeyError, IndexError, TypeError):
        details = "There is no media with this id: it was never uploaded here, or it was deleted." if answer.status == 404 else ""
        return ClientError(answer.status, 0, answer.reason, details, slug)
