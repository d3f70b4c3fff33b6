"""The process: how it starts, stops and refuses to start; what a kill -9 leaves, and what comes back."""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from .crypt import plaintext, seal
from .node import Node
from .running import PHONE, SECRET, Sandbox, address, envelope, process

pytestmark = pytest.mark.anyio


async def test_start_and_stop(node: Node, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", tmp_path, "--node", node.url)
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as one, aiohttp.ClientSession() as session:
        sandbox = Sandbox(session, await address(one))
        assert await sandbox.call("GET", "/sandbox/readyz") == (200, {"ready": True})
        port = sandbox.url.rsplit(":", 1)[1]
        for wrong, sentence in (
            (("--port", port, "--memory"), "cannot listen"),
            (("--port", "0", "--data-dir", tmp_path), "Another sandbox"),
        ):
            async with process(*wrong, "--node", node.url, SATCHEL_SANDBOX_SECRET=SECRET) as other:
                _, said = await other.communicate()
                assert other.returncode == 3
                assert sentence in said.decode()
                assert said.count(b"\n") == 1
        waiting = asyncio.create_task(sandbox.messages("60s"))
        assert await sandbox.messages("50ms") == []  # by now the other request waits, too
        one.send_signal(signal.SIGTERM)
        assert await waiting == []
        assert await asyncio.wait_for(one.wait(), 5) == 0


async def test_each_line_of_the_log_is_an_object_in_the_form_of_the_node_s(node: Node, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", tmp_path, "--node", node.url)
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as one, aiohttp.ClientSession() as session:
        assert one.stderr
        first = json.loads(await one.stderr.readline())
        sandbox = Sandbox(session, first["event"].split()[-1])
        await sandbox.call("GET", "/wire/state", headers={"Authorization": "Bearer wrong"})
        second = json.loads(await one.stderr.readline())
    assert [(line["logger"], line["level"]) for line in (first, second)] == [("sandbox", "info"), ("sandbox.wire", "warning")]
    assert datetime.fromisoformat(first["timestamp"]) <= datetime.fromisoformat(second["timestamp"]) <= datetime.now(UTC)
    assert set(second) == {"event", "logger", "level", "timestamp"}


async def test_no_secret(tmp_path: Path) -> None:
    async with process("--port", "0", "--data-dir", tmp_path, "--node", "http://127.0.0.1:1") as one:
        _, said = await one.communicate()
    assert one.returncode == 3
    assert said.decode().startswith("SATCHEL_SANDBOX_SECRET is not set")


async def test_lifeline(node: Node) -> None:
    ours, theirs = os.pipe()
    os.set_inheritable(ours, True)
    arguments = ("--port", "0", "--memory", "--node", node.url)
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET, SATCHEL_LIFELINE_FD=str(ours)) as one:
        os.close(ours)
        await address(one)
        os.close(theirs)
        assert await asyncio.wait_for(one.wait(), 5) == 0


KILLED = """
import dataclasses, os, signal, sys
from pathlib import Path
from satchel_sandbox.server import Options, run

class Killing:
    def __init__(self, inner, method, calls, before):
        self.inner, self.method, self.calls, self.before = inner, method, int(calls), before == "before"

    def __getattr__(self, name):
        method = getattr(self.inner, name)
        return self.counted(method) if name == self.method else method

    def counted(self, method):
        async def call(*arguments):
            self.calls -= 1
            last = self.calls == 0
            if last and self.before:
                os.kill(os.getpid(), signal.SIGKILL)
            result = await method(*arguments)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call

port, method, calls, when = sys.argv[3].split(":")
sys.exit(run(Options(0, sys.argv[2], "a-secret-for-tests", Path(sys.argv[1])),
             lambda ports: dataclasses.replace(ports, **{port: Killing(getattr(ports, port), method, calls, when)})))
"""

# The writes of one message: the world, the agenda's first look and the confirmed state, the uploaded copy, the intake that delivers at
# once, then the finished download among confirmed upstream events. Wherever the process dies, the sender repeats what was not answered.
ALL = [f"store:write:{n}:{when}" for n in range(3, 9) for when in ("before", "after")]
ALL += [f"vault:put:1:{when}" for when in ("before", "after")] + ["poster:post:2:after", "poster:post:3:after"]
ALWAYS = ("store:write:3:before", "store:write:4:after", "store:write:6:after", "poster:post:2:after")


@pytest.mark.parametrize("moment", [moment if moment in ALWAYS else pytest.param(moment, marks=pytest.mark.slow) for moment in ALL])
async def test_kill_at_any_moment(node: Node, tmp_path: Path, moment: str) -> None:
    main, data = tmp_path / "killed.py", tmp_path / "data"
    main.write_text(KILLED)
    sealed = seal(plaintext(100_000))
    async with process(data, node.url, moment, main=main) as one, aiohttp.ClientSession() as session:
        sandbox = Sandbox(session, await address(one))
        await node.until(lambda: len(node.events) == 1)
        try:
            await sandbox.deliver("m", sealed)
            await asyncio.wait_for(one.wait(), 5)
        except (aiohttp.ClientError, AssertionError):
            assert await one.wait() == -signal.SIGKILL
    assert one.returncode == -signal.SIGKILL
    arguments = ("--port", "0", "--data-dir", data, "--node", node.url)
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as two, aiohttp.ClientSession() as session:
        sandbox = Sandbox(session, await address(two))
        await sandbox.deliver("m", sealed)
        await sandbox.send(envelope("after", None, to="12025550112"))
        (shown,) = await sandbox.messages()
        assert (shown["id"], shown["media"]["state"]) == ("m", "downloaded")
        assert (await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/m/media"))[2] == sealed.plain
        await node.until(lambda: node.statuses("after") == ["sent", "delivered"])
        once = list({event["id"]: event["status"] for event in node.events if event.get("message") == "m"}.values())
        assert once == ["sent", "delivered"]
        assert [file.name for file in data.rglob("*") if file.is_file() and ".sqlite" not in file.name] != []
        assert not list(data.rglob("*.part"))
