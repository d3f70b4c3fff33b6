"""The other end of section 3 of the wire: a small HTTP server that takes upstream events and answers what a test tells it to."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Post:
    """One POST of the sandbox and what it was answered."""

    path: str
    header: str
    body: bytes
    status: int
    at: float

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found


@dataclass
class Node:
    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)  # statuses for the next posts; 200 when there is none
    refuses: str = ""  # a message whose upstream events are answered 400
    gate: asyncio.Event = field(default_factory=asyncio.Event)  # posts are answered while it is set
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was confirmed, in order."""
        return [event for post in self.posts if post.status == 200 for event in post.events]

    def statuses(self, message: str) -> list[str]:
        return [event["status"] for event in self.events if event.get("message") == message]

    def forget(self) -> None:
        """As new, at the same address."""
        self.posts, self.answers, self.refuses = [], deque(), ""
        self.gate.set()

    async def until(self, true: Callable[[], bool], seconds: float = 8.0) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(true)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.gate.wait()
        status = self.answers.popleft() if self.answers else 200
        if self.refuses and any(event.get("message") == self.refuses for event in json.loads(body)["events"]):
            status = 400
        at = asyncio.get_running_loop().time()
        async with self.changed:
            self.posts.append(Post(request.path, request.headers.get("Satchel-Sandbox-Signature", ""), body, status, at))
            self.changed.notify_all()
        return web.Response(status=status)


@contextlib.asynccontextmanager
async def listening(port: int = 0) -> AsyncIterator[Node]:
    node = Node()
    node.gate.set()
    app = web.Application()
    app.router.add_post("/_satchel/v1/upstream-events", node.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield node
    finally:
        node.gate.set()
        await runner.cleanup()
