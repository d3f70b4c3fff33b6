"""The back end in this process: ASGI called the way uvicorn calls it, odd requests included."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from .run import Answer, Request

BLOCK = 1 << 16


@dataclass(frozen=True)
class InProcess:
    """An ASGI application as a back end."""

    app: ASGIApp
    token: str
    volume: Path

    async def exchange(self, request: Request) -> Answer:
        sent: list[Message] = []
        incoming = deque(_messages(request))

        async def receive() -> Message:
            return incoming.popleft() if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(_scope(request), receive, send)
        start, *rest = sent
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        body = b"".join(message.get("body", b"") for message in rest)
        return Answer.of(start["status"], pairs, b"" if request.method == "HEAD" else body)  # servers drop a body after HEAD


def _scope(request: Request) -> dict[str, object]:
    path, _, query = request.target.partition("?")
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers]
    if not request.header("host"):
        headers.insert(0, (b"host", b"node"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


def _messages(request: Request) -> list[Message]:
    blocks = [request.body[at : at + BLOCK] for at in range(0, len(request.body), BLOCK)] or [b""]
    return [{"type": "http.request", "body": block, "more_body": number < len(blocks)} for number, block in enumerate(blocks, 1)]
