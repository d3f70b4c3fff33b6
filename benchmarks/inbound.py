"""`python -m benchmarks.inbound`: received media a second through a whole `satchel dev`, from phones that send to the business's webhook.

Measured are a whole way, phones that encrypt included, and what waits at the network while the node was away. Every picture is another one.
"""

import argparse
import asyncio
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks import report, scratch, sends
from benchmarks.report import Row
from benchmarks.sends import Bench, in_turns

SIZE = 1_000_000
PHONES = 64


class Told(sends.Told):
    """The business's receiver, which notes whose media is there."""

    async def take(self, request: web.Request) -> web.Response:
        said = await request.json()
        self.ids |= {message["id"] for message in said.get("messages", []) if "file" in message[message["type"]]}
        self.more.set()
        return web.Response()


class Phones:
    """Phones of the sandbox that send pictures."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._numbers = [bench.number() for _ in range(PHONES)]

    async def give(self, count: int) -> list[str]:
        """So many pictures onto phones; their names."""
        path = f"/sandbox/phones/{self._numbers[0]}/files"
        return await in_turns([partial(self._file, path, os.urandom(SIZE)) for _ in range(count)])

    async def send(self, files: list[str]) -> set[str]:
        """Each of them, from one phone after the other; the messages' ids."""
        return set(await in_turns([partial(self._send, self._numbers[n % PHONES], name) for n, name in enumerate(files)]))

    async def hold(self, held: bool) -> None:
        """Whether what phones send stays with the network for now."""
        await self._call("PUT", "/sandbox/chaos", json={"events": {"fail": 1.0}} if held else {})

    async def hurry(self) -> None:
        """Have the network tell the node at once."""
        await self._call("PUT", "/sandbox/clock", json={"advance": "1s"})

    async def _file(self, path: str, data: bytes) -> str:
        return str((await self._call("POST", path, data=data))["file"])

    async def _send(self, number: str, name: str) -> str:
        said = {"do": "send", "type": "image", "file": name}
        return str((await self._call("POST", f"/sandbox/phones/{number}/actions", json=said))["message"]["id"])

    async def _call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        async with self._bench.http.request(method, self._bench.sandbox + path, **given) as answer:
            return dict(await answer.json())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inbound", description=__doc__)
    parser.add_argument("--pictures", type=int, default=600, help="of 1 MB, for each of the two")
    parser.add_argument("--write", action="store_true", help="write the table into docs/explanation/performance.md")
    options = parser.parse_args()
    with scratch.fresh() as folder:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the whole machine is what is measured
        rows = asyncio.run(_measured(options.pictures, folder))
    text = report.table(rows, f"`python -m benchmarks.inbound`, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    if options.write:
        report.write("inbound", text)


async def _measured(count: int, folder: Path) -> list[Row]:
    async with sends.running(folder, Told()) as bench:
        phones = Phones(bench)
        await _whole(bench, phones, await phones.give(20))
        whole = await _whole(bench, phones, await phones.give(count))
        waiting = await _waiting(bench, phones, await phones.give(count))
    about = f"{count} pictures of 1 MB from {PHONES} phones"
    return [
        Row(f"{about}, from the first one sent to the last callback", whole, "/s", 50, 150, more=True),
        Row(f"{about} that wait at the network, from there on", waiting, "/s", 50, 150, more=True),
    ]


async def _whole(bench: Bench, phones: Phones, files: list[str]) -> float:
    began = time.perf_counter()
    ids = await phones.send(files)
    await bench.told.until(lambda: ids <= bench.told.ids)
    return len(files) / (time.perf_counter() - began)


async def _waiting(bench: Bench, phones: Phones, files: list[str]) -> float:
    await phones.hold(True)
    ids = await phones.send(files)
    await phones.hold(False)
    began = time.perf_counter()
    hurried = asyncio.create_task(phones.hurry())
    await bench.told.until(lambda: ids <= bench.told.ids)
    seconds = time.perf_counter() - began
    await hurried
    return len(files) / seconds


if __name__ == "__main__":
    main()
