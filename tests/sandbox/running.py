"""Sandboxes to test: in this process on a free port, or as a process of its own; and a client for either."""

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from satchel_sandbox.network import Terms
from satchel_sandbox.server import Options, opened

from .crypt import Sealed, seal

SECRET = "a-secret-for-tests"
PHONE, BUSINESS = "12025550111", "12025550100"
Json = dict[str, Any]


class Sandbox:
    """A client for one running sandbox."""

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str = SECRET) -> None:
        self.session, self.url = session, url
        self.authorization = {"Authorization": f"Bearer {secret}"}

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Json]:
        async with self.session.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.json()

    async def give(self, data: bytes, number: str = PHONE) -> str:
        """Put a file onto a phone; its name there."""
        status, given = await self.call("POST", f"/sandbox/phones/{number}/files", data=io.BytesIO(data))
        assert status == 201, given
        return str(given["file"])

    async def from_phone(self, type_: str, data: bytes | None = None, number: str = PHONE, **said: Any) -> Json:
        """A message that this phone sends, as it stands in its conversation."""
        file = {} if data is None else {"file": await self.give(data, number)}
        status, done = await self.call("POST", f"/sandbox/phones/{number}/actions", json={"do": "send", "type": type_, **file, **said})
        assert status == 200, done
        message: Json = done["message"]
        return message

    async def bytes(self, path: str) -> tuple[int, str, bytes]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, answer.headers["Content-Type"], await answer.read()

    async def upload(self, sealed: Sealed, query: str = "", **options: Any) -> tuple[int, Json]:
        options = {"data": io.BytesIO(sealed.blob), "headers": self.authorization, **options}
        return await self.call("POST", f"/mms/{sealed.kind}/{sealed.token}{query}", **options)

    async def send(self, envelope: Json) -> tuple[int, Json]:
        return await self.call("POST", "/wire/messages", json=envelope, headers=self.authorization)

    async def deliver(self, message_id: str, sealed: Sealed | None = None, to: str = PHONE, **changes: Any) -> Json:
        """Upload and send; `changes` go into the media."""
        sealed = sealed or seal(b"plain bytes")
        status, copy = await self.upload(sealed)
        assert status == 200, copy
        message = envelope(message_id, sealed.media(copy["direct_path"], **changes), to=to)
        status, taken = await self.send(message)
        assert (status, taken["id"]) == (200, message_id), taken
        return message

    async def act(self, do: str, message: str | None = None, number: str = PHONE, wait: str = "8s") -> Json:
        body = {"do": do, **({"message": message} if message else {})}
        status, done = await self.call("POST", f"/sandbox/phones/{number}/actions?wait={wait}", json=body)
        assert status == 200, done
        return done

    async def refused(self, do: str, message: str | None = None, number: str = PHONE) -> tuple[int, str]:
        """Status and slug of an action that is refused."""
        body = {"do": do, **({"message": message} if message else {})}
        status, refusal = await self.call("POST", f"/sandbox/phones/{number}/actions", json=body)
        assert status >= 400, refusal
        return status, refusal["error"]

    async def phone(self, number: str = PHONE, **changes: Any) -> Json:
        status, phone = await self.call("PATCH", f"/sandbox/phones/{number}", json=changes)
        assert status == 200, phone
        return phone

    async def advance(self, duration: str) -> list[tuple[str, str]]:
        """Move the clock; what has happened by that, as (step, message)."""
        status, moved = await self.call("PUT", "/sandbox/clock", json={"advance": duration})
        assert status == 200, moved
        return [(one["step"], one["message"]) for one in moved["ran"]]

    async def text(self, message_id: str, to: str = PHONE, **members: Any) -> None:
        status, taken = await self.send(envelope(message_id, None, to=to, **members))
        assert status == 200, taken

    async def state(self, message_id: str, number: str = PHONE) -> str:
        """Where the media of a message is."""
        found = {message["id"]: message for message in await self.messages("0s", number)}
        return str(found[message_id]["media"]["state"])

    async def messages(self, wait: str = "8s", number: str = PHONE, after: str | None = None) -> list[Json]:
        query = {"wait": wait, **({"after": after} if after else {})}
        status, found = await self.call("GET", f"/sandbox/phones/{number}/messages", params=query)
        assert status == 200, found
        listed: list[Json] = found["messages"]
        return listed


async def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait for files, which ring no bell."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def envelope(message_id: str, media: Json | None, to: str = PHONE, **members: Any) -> Json:
    kind = {"type": media["type"], "media": media} if media else {"type": "text", "text": "hello"}
    return {"id": message_id, "to": to, "from": BUSINESS, **kind, **members}


@contextlib.asynccontextmanager
async def running(node: str, data_dir: Path | None = None, **terms: float) -> AsyncIterator[Sandbox]:
    """A sandbox in this process; in memory unless it is given a folder."""
    options = Options(0, node, SECRET, data_dir, memory=data_dir is None, terms=Terms(**terms))
    async with opened(options) as (server, listener), aiohttp.ClientSession() as session:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Sandbox(session, f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def process(*arguments: str | Path, main: Path | None = None, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own, killed at the end if it has not ended; `main` is a test's own start in place of the package's."""
    start = [str(main)] if main else ["-m", "satchel_sandbox"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SATCHEL_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *start, *map(str, arguments), env={**inherited, **environment}, stderr=asyncio.subprocess.PIPE, close_fds=False
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def address(process: asyncio.subprocess.Process) -> str:
    """Where a process that was started with port 0 listens: it says so in its log."""
    assert process.stderr
    async with asyncio.timeout(10):
        while line := (await process.stderr.readline()).decode():
            if " its address " in line:
                return str(json.loads(line)["event"]).split()[-1]
    raise AssertionError("the sandbox ended before it listened")
