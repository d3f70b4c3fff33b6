"""A typed client for the node's HTTP API. Imports nothing else of Satchel, so it works against any node that speaks the contract."""

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import httpx2

BLOCK = 256 * 1024


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
    """Nobody answers at the address."""


@dataclass(frozen=True)
class Target:
    """`url`: of the node; `token`: a bearer token."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Target(url={self.url!r})"


class Client:
    """Use as a context manager. Every call raises `ClientError` or `Unreachable`."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        self._http = httpx2.Client(
            base_url=target.url,
            headers={"Authorization": f"Bearer {target.token}"},
            timeout=httpx2.Timeout(30.0, write=300.0),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def upload(self, path: Path, mime: str | None = None) -> str:
        """Store a file, streamed; the media id. `mime`: guessed from the name unless given."""
        mime = mime or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        with path.open("rb") as file:
            headers = {"Content-Type": mime, "Content-Length": str(path.stat().st_size)}
            answer = self._json("POST", "/v1/media", content=_blocks(file), headers=headers)
        return str(answer["media"][0]["id"])

    @contextmanager
    def get(self, media_id: str) -> Iterator[Iterator[bytes]]:
        """The bytes of a media, in blocks."""
        with self._talking(), self._http.stream("GET", f"/v1/media/{media_id}") as answer:
            if answer.status_code != 200:
                answer.read()
                raise _error(answer)
            yield answer.iter_bytes(BLOCK)

    def delete(self, media_id: str) -> None:
        """Delete a media."""
        self._json("DELETE", f"/v1/media/{media_id}")

    def send(
        self, type_: Literal["image", "document"], to: str, media_id: str, caption: str | None = None, filename: str | None = None
    ) -> str:
        """Send a media to a number; the message id. What becomes of it is told by callbacks."""
        media = {"id": media_id, "caption": caption, "filename": filename}
        body = {"to": to, "type": type_, type_: {name: value for name, value in media.items() if value is not None}}
        return str(self._json("POST", "/v1/messages", json=body)["messages"][0]["id"])

    def _json(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        with self._talking():
            answer = self._http.request(method, path, **given)
        if not answer.is_success:
            raise _error(answer)
        said: dict[str, Any] = answer.json()
        return said

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TransportError as error:
            raise Unreachable(f"{self._url} does not answer ({type(error).__name__}): is the node running there?") from error


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _error(answer: httpx2.Response) -> ClientError:
    slug = answer.headers.get("satchel-error", "")
    try:
        said = answer.json()["errors"][0]
        return ClientError(answer.status_code, int(said["code"]), str(said["title"]), str(said.get("details", "")), slug)
    except (ValueError, KeyError, IndexError, TypeError):
        details = "There is no media with this id: it was never uploaded here, or it was deleted." if answer.status_code == 404 else ""
        return ClientError(answer.status_code, 0, answer.reason_phrase, details, slug)
