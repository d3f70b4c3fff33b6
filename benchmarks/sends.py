"""`python -m benchmarks.sends`: messages and callbacks a second through a whole `satchel dev`, sandbox included, and how long one takes.

The client posts from this process; what arrived is told by callbacks to a receiver here, and by the phones themselves.
"""

import argparse
import asyncio
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from PIL import Image

from benchmarks import report, scratch
from benchmarks.processes import free_port
from benchmarks.report import Row

PASSWORD = "Quay-Lantern-42"
POSTS = 32
"""Requests of the client that are under way at once."""


class Told:
    """The business's receiver. `latency`: seconds until it answers; `ids`: of the messages that were told as delivered."""

    def __init__(self) -> None:
        self.latency, self.count = 0.0, 0
        self.ids: set[str] = set()
        self.more = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        said = await request.json()
        if self.latency:
            await asyncio.sleep(self.latency)
        self.count += 1
        self.ids |= {status["id"] for status in said.get("statuses", []) if status["status"] == "delivered"}
        self.more.set()
        return web.Response()

    async def until(self, so: Callable[[], bool]) -> None:
        while not so():
            self.more.clear()
            await asyncio.wait_for(self.more.wait(), 120)


class Bench:
    """A running `satchel dev`, whose process has this `pid`."""

    def __init__(self, http: aiohttp.ClientSession, sandbox: str, told: Told, folder: Path, pid: int) -> None:
        self.http, self.sandbox, self.told, self.folder, self.pid = http, sandbox, told, folder, pid
        self._numbers = itertools.count(1)

    def number(self) -> str:
        return f"4477{next(self._numbers):08}"

    async def upload(self, body: bytes) -> str:
        async with self.http.post("/v1/media", data=body, headers={"Content-Type": "image/jpeg"}) as answer:
            return str((await answer.json())["media"][0]["id"])

    async def send(self, media: str, to: str) -> str:
        async with self.http.post("/v1/messages", json={"to": to, "type": "image", "image": {"id": media}}) as answer:
            return str((await answer.json())["messages"][0]["id"])

    async def rate(self, media: list[str]) -> float:
        """Messages a second: from the first POST until all are delivered, each to a phone of its own."""
        began = time.perf_counter()
        sent = set(await in_turns([partial(self.send, one, self.number()) for one in media]))
        await self.told.until(lambda: sent <= self.told.ids)
        return len(media) / (time.perf_counter() - began)

    async def latency(self, media: str) -> float:
        """Seconds from the POST until a phone holds the picture."""
        to = self.number()
        began = time.perf_counter()
        await self.send(media, to)
        async with self.http.get(f"{self.sandbox}/sandbox/phones/{to}/messages?wait=10s") as answer:
            said = (await answer.json())["messages"]
        assert said[-1]["media"]["state"] == "downloaded", said
        return time.perf_counter() - began

    async def callbacks(self, count: int, latency: float) -> float:
        """Callbacks a second to a slow receiver, of so many that wait."""
        self.told.latency, before = latency, self.told.count
        began = time.perf_counter()
        await asyncio.to_thread(_put_down, self.folder, count)
        await self.told.until(lambda: self.told.count >= before + count)
        self.told.latency = 0.0
        return count / (time.perf_counter() - began)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sends", description=__doc__)
    parser.add_argument("--distinct", type=int, default=300, help="pictures of 1 MB")
    parser.add_argument("--recipients", type=int, default=10_000, help="of one picture")
    parser.add_argument("--callbacks", type=int, default=5_000)
    parser.add_argument("--write", action="store_true", help="write the table into docs/explanation/performance.md")
    options = parser.parse_args()
    with scratch.fresh() as folder:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the whole machine is what is measured
        rows = asyncio.run(_measured(options, folder))
    text = report.table(rows, f"`python -m benchmarks.sends`, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    if options.write:
        report.write("sends", text)


async def _measured(options: argparse.Namespace, folder: Path) -> list[Row]:
    async with running(folder) as bench:
        small = await bench.upload(picture(200_000))
        await bench.latency(small)
        waits = [await bench.latency(await bench.upload(picture(200_000))) for _ in range(31)]
        large = await in_turns([partial(bench.upload, picture(1_000_000)) for _ in range(options.distinct)])
        distinct = await bench.rate(large)
        same = await bench.rate([small] * options.recipients)
        told = await bench.callbacks(options.callbacks, 0.05)
    return [
        Row(f"{options.distinct} distinct pictures of 1 MB to as many phones", distinct, "/s", 50, 150, more=True),
        Row(f"one picture to {options.recipients:,} phones", same, "/s", 250, 1000, more=True),
        Row("accepted until the phone has it, 200 KB, p50", statistics.median(waits) * 1000, " ms", 150, 60),
        Row("callbacks to a receiver that takes 50 ms, 24 at once", told, "/s", 300, 430, more=True),
    ]


async def in_turns(todo: list[Callable[[], Awaitable[str]]]) -> list[str]:
    """The results in order, so many at once as `POSTS` says."""
    room = asyncio.Semaphore(POSTS)

    async def one(call: Callable[[], Awaitable[str]]) -> str:
        async with room:
            return await call()

    return list(await asyncio.gather(*(one(call) for call in todo)))


def picture(size: int) -> bytes:
    """A JPEG of about so many bytes, like a photograph of four pixels a byte, whose pixels nobody has seen before."""
    width = int((size * 16 / 3) ** 0.5)
    height, into = width * 3 // 4, io.BytesIO()
    grain = Image.effect_noise((width, height), 50).convert("RGB")
    Image.blend(_harbour(width, height), grain, 0.12).save(into, "JPEG", quality=83)
    return into.getvalue()


@lru_cache(maxsize=4)
def _harbour(width: int, height: int) -> Image.Image:
    return Image.open(Path(__file__).parents[1] / "tests/media/harbour.jpg").resize((width, height))


def _put_down(folder: Path, count: int) -> None:
    from satchel import build
    from satchel.db import callbacks
    from satchel.db.callbacks import News
    from satchel.settings import load

    async def put() -> None:
        db = build.database(load(folder / "data", {}, toml=folder / "none.toml"))
        for start in range(0, count, 500):
            some = [News(f"bench:{time.time_ns()}:{n}", f"1202555{n:05}", {"statuses": []}) for n in range(start, min(start + 500, count))]
            await db.write(partial(callbacks.put_down, news=some, url_set=True))
        await db.close()

    asyncio.run(put())


@asynccontextmanager
async def running(folder: Path, told: Told | None = None) -> AsyncIterator[Bench]:
    told, port = told or Told(), free_port()
    folder.mkdir(exist_ok=True)
    receiver = web.Application()
    receiver.router.add_post("/hook", told.take)
    runner = web.AppRunner(receiver, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    node = await asyncio.to_thread(_start, folder, port, hook)
    try:
        state = await _state(folder, node)
        headers = {"Authorization": f"Bearer {state['token']}"}
        async with aiohttp.ClientSession(
            state["url"], headers=headers, raise_for_status=True, connector=aiohttp.TCPConnector(limit=0)
        ) as http:
            yield Bench(http, state["sandbox_url"], told, folder, node.pid)
    finally:
        node.terminate()
        node.wait()
        await runner.cleanup()


def _start(folder: Path, port: int, hook: str) -> "subprocess.Popen[bytes]":
    ports = ["--port", str(port), "--sandbox-port", str(free_port())]
    command = [sys.executable, "-m", "satchel", "dev", *ports, "--data-dir", str(folder / "data"), "--webhook", hook]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "SATCHEL_ADMIN_PASSWORD": PASSWORD})


async def _state(folder: Path, node: "subprocess.Popen[bytes]") -> dict[str, Any]:
    file = folder / "data/dev.json"
    for _ in range(600):
        if file.exists():
            return dict(json.loads(file.read_text()))
        if node.poll() is not None:
            break
        await asyncio.sleep(0.1)
    raise SystemExit((folder / "log").read_text()[-2000:])


if __name__ == "__main__":
    main()
