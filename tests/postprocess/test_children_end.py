"""The engine of the port when something ends or hangs: a child, a job, a file that changes, the parent; and that children are isolated."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from satchel.domain.errors import (
    MEDIA_TOO_HEAVY,
    MEDIA_UNREADABLE,
    NOT_READY,
    Fault,
    Later,
)
from satchel.domain.media import Facts
from satchel.domain.plans import Plan
from satchel.postprocess import isolation, worker
from satchel.postprocess.children import Children
from satchel.postprocess.families import PICTURES
from satchel.postprocess.source import Source

from . import pictures
from .pictures import HARBOUR, MEDIA
from .processes import STRIP, Child, children_of, opened_here, the_child, wait_for, with_pool


def frozen_while(act: Callable[[Child, Path], None], data: bytes, path: Path, seconds: float = 60.0) -> Facts:
    """Probe `data` with a warm child that is stopped before the job begins; `act` runs once the job waits for it."""
    path.write_bytes(data)

    async def use(pool: Children) -> Facts:
        await pool.probe(MEDIA / "harbour.jpg")
        child = the_child()
        child.send(signal.SIGSTOP)
        job = asyncio.ensure_future(pool.probe(path))
        await asyncio.to_thread(wait_for, child.unread)  # it has the file's size, and its first bytes are in the pipe
        act(child, path)
        return await job

    return with_pool(use, seconds)


def test_a_child_killed_in_the_middle_gets_a_successor(tmp_path: Path) -> None:
    assert frozen_while(lambda child, path: child.send(signal.SIGKILL), HARBOUR, tmp_path / "media").width == 1200


def test_an_idle_child_that_was_killed_costs_nothing() -> None:
    async def use(pool: Children) -> set[int]:
        pids = set()
        for _ in range(3):
            await pool.probe(MEDIA / "harbour.jpg")
            child = the_child()
            pids.add(child.pid)
            child.send(signal.SIGKILL)
            await asyncio.to_thread(child.wait)
        return pids

    assert len(with_pool(use)) == 3


def test_a_file_that_kills_two_children_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = worker.Worker.ask

    def kill_and_ask(self: worker.Worker, source: Source, plan: Plan | None = None) -> worker.Reply:
        asked.append(self.pid)
        self.kill()
        return ask(self, source, plan)

    monkeypatch.setattr(worker.Worker, "ask", kill_and_ask)
    with pytest.raises(Fault, match="within the memory and time limits") as caught:
        with_pool(lambda pool: pool.probe(MEDIA / "harbour.jpg"))
    assert caught.value.situation == MEDIA_TOO_HEAVY and len(set(asked)) == 2


def test_a_child_that_is_too_slow_is_killed_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(HARBOUR)

    async def use(pool: Children) -> None:
        await pool.probe(tmp_path / "media")
        frozen = the_child()
        frozen.send(signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(Fault, match=r"could not be decoded within 0\.3 seconds") as caught:
            await pool.probe(tmp_path / "media")
        assert caught.value.situation == MEDIA_TOO_HEAVY and time.monotonic() - begin < 2
        assert not frozen.runs()
        await pool.probe(tmp_path / "media")

    with_pool(use, seconds=0.3)


def test_a_slow_decode_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(pictures.slow())
    with pytest.raises(Fault, match=r"within 0\.02 seconds"):
        with_pool(lambda pool: pool.probe(tmp_path / "media"), seconds=0.02)


def test_a_file_too_large_for_a_child_is_told_so(tmp_path: Path) -> None:
    with (tmp_path / "media").open("wb") as file:
        file.write(HARBOUR)
        file.truncate(1 << 30)

    async def use(pool: Children) -> None:
        with pytest.raises(Fault, match="needs more memory than a child process may have") as caught:
            await pool.probe(tmp_path / "media")
        assert caught.value.situation == MEDIA_UNREADABLE
        await pool.probe(MEDIA / "harbour.jpg")

    with_pool(use, max_pixels=2_000_000)


@pytest.mark.parametrize("alone", [True, False])
def test_a_lack_of_memory_is_the_file_s_fault_when_nothing_else_was_at_work(alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In three fresh children; another job might have taken the memory, so then nothing is to be remembered of the file."""
    asked: list[int] = []

    async def use(pool: Children) -> None:
        def starve(self: worker.Worker, source: Source, plan: Plan | None = None) -> worker.Reply:
            asked.append(self.pid)
            if alone:
                return worker.Reply(error="memory")
            with pool._company.joined():
                return worker.Reply(error="memory")

        monkeypatch.setattr(worker.Worker, "ask", starve)
        with pytest.raises(Fault, match="more memory than a child process may have") as caught:
            await pool.probe(MEDIA / "harbour.jpg")
        assert caught.value.situation == (MEDIA_UNREADABLE if alone else MEDIA_TOO_HEAVY)

    with_pool(use)
    assert len(set(asked)) == len(asked) == (3 if alone else 1)


@pytest.mark.parametrize(("size", "how"), [(1_000, "shorter"), (9_000_000, "longer")])
def test_a_file_that_changes_while_it_is_read_is_refused(size: int, how: str, tmp_path: Path) -> None:
    def act(child: Child, path: Path) -> None:
        os.truncate(path, size)
        child.send(signal.SIGCONT)

    with pytest.raises(Fault, match=f"became {how} than 8423280 bytes"):
        frozen_while(act, HARBOUR * 40, tmp_path / "media")


def test_a_cancelled_rendition_lets_go_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    async def use(pool: Children) -> None:
        await pool.probe(MEDIA / "harbour.jpg")
        the_child().send(signal.SIGSTOP)
        running, waiting = (asyncio.ensure_future(pool.render(MEDIA / "harbour.jpg", STRIP, tmp_path / name)) for name in "ab")
        await asyncio.to_thread(wait_for, lambda: opened_here(MEDIA / "harbour.jpg"))
        for job in (waiting, running):
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
        assert not list(tmp_path.iterdir())
        await pool.probe(MEDIA / "harbour.jpg")

    with_pool(use)


def test_closing_ends_every_child_and_every_job() -> None:
    async def use(pool: Children) -> None:
        await pool.probe(MEDIA / "harbour.jpg")
        child = the_child()
        child.send(signal.SIGSTOP)
        jobs = [asyncio.ensure_future(pool.probe(MEDIA / "harbour.jpg")) for _ in range(3)]
        await asyncio.to_thread(wait_for, child.unread)
        await pool.close()
        for job in jobs:
            with pytest.raises(Later) as caught:
                await job
            assert caught.value.situation == NOT_READY
        assert not child.runs()

    with_pool(use)


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit(1)", 'print(end=\'\\0\\0\\0\\x1a{"failed": "no such luck"}\')', "print('nonsense')"]
)
def test_a_child_that_does_not_start_is_tried_again_later(program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{program}\n")
    python.chmod(0o755)
    for executable in (python, tmp_path / "missing"):
        monkeypatch.setattr(sys, "executable", str(executable))
        with pytest.raises(Later, match="no such luck" if "luck" in program and executable is python else "start") as caught:
            with_pool(lambda pool: pool.probe(MEDIA / "harbour.jpg"))
        assert caught.value.situation == NOT_READY


def test_a_child_sees_none_of_the_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATCHEL_ADMIN_PASSWORD", "secret")

    async def use(pool: Children) -> list[str]:
        await pool.probe(MEDIA / "harbour.jpg")
        return the_child().environment()

    assert set(with_pool(use)) <= set(worker.PASSED_ON)


def test_a_child_can_open_no_file_and_no_socket_and_says_so() -> None:
    async def use(pool: Children) -> tuple[str, str, list[str]]:
        await pool.probe(MEDIA / "harbour.jpg")
        proc = Path("/proc") / str(the_child().pid)
        return (proc / "limits").read_text(), (proc / "status").read_text(), sorted(one.name for one in (proc / "fd").iterdir())

    with capture_logs() as logged:
        limits, status, opened = with_pool(use)
    for limit, value in (
        ("Max open files", 0),
        ("Max file size", 0),
        ("Max core file size", 0),
        ("Max address space", PICTURES.memory(10**8)),
    ):
        assert next(line for line in limits.splitlines() if line.startswith(limit))[len(limit) :].split()[:2] == [str(value)] * 2
    assert opened == ["0", "1", "2"], "nothing the parent had open came along"
    if os.geteuid() == 0:
        assert f"Uid:\t{isolation.NOBODY}\t{isolation.NOBODY}\t{isolation.NOBODY}" in status and "Groups:\t \n" in status
        assert "CapEff:\t0000000000000000" in status
    (line,) = logged
    assert "no file opened" in line["reached"]


PARENT = """
import asyncio, sys
from pathlib import Path
from satchel.postprocess import Config
from satchel.postprocess.children import Children
from satchel.postprocess.families import PICTURES

async def main():
    pool = Children(Config())
    await asyncio.gather(*(pool.probe(Path(sys.argv[1])) for _ in range(8)))
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_no_child(signum: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, MEDIA / "harbour.jpg"], stdout=subprocess.PIPE) as parent:
        assert parent.stdout and any(line == b"ready\n" for line in parent.stdout)
        family = children_of(parent.pid)
        assert family
        parent.send_signal(signum)
        parent.wait()
        for one in family:
            one.wait()


def test_a_parent_killed_in_the_middle_of_a_job_leaves_no_child_and_no_complaint(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(HARBOUR * 40)
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "media"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        wait_for(lambda: bool(children_of(parent.pid)))
        family = children_of(parent.pid)
        parent.kill()
        for one in family:
            one.wait()
        assert parent.stderr and parent.stderr.read() == b""


def test_a_child_outlives_a_polite_stop() -> None:
    """A service manager signals the whole group; the parent must be able to finish what it is doing."""

    async def use(pool: Children) -> bool:
        await pool.probe(MEDIA / "harbour.jpg")
        child = the_child()
        child.send(signal.SIGTERM)
        await pool.probe(MEDIA / "harbour.jpg")
        return child.runs()

    assert with_pool(use)
