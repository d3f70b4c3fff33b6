"""One warm child, seen from the parent: started, asked, killed. Blocks its thread, so it runs in one of `Children`'s; not a pool.

Why a plain process and two pipes, and not multiprocessing's forkserver: a forkserver imports the parent's main module again in each child
(for `satchel` that is the whole command line), and a child forked from a long-lived process carries along whatever that process had open.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from satchel.domain.errors import NOT_READY, Later
from satchel.domain.media import Facts
from satchel.domain.plans import Plan
from satchel.postprocess import frames
from satchel.postprocess.deadlines import Deadlines
from satchel.postprocess.families import Family
from satchel.postprocess.source import Source

START_SECONDS = 30.0
PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
"""What a child sees of the environment: enough to find Python, none of the passwords."""


STRIP_ADDS = 64
"""Bytes by which a strip may make a file longer: an orientation written anew."""
_deadlines = Deadlines()


class Died(Exception):
    """The child ended, or talked nonsense, in the middle of a job."""


class TooSlow(Exception):
    """The child was killed because the job took too long."""


class Hello(msgspec.Struct):
    """A child's first frame."""

    level: list[str] = []
    failed: str = ""


class Reply(msgspec.Struct):
    """A child's answer; `frames` tells what it says."""

    facts: Facts | None = None
    mime: str = ""
    size: int = 0
    error: str = ""
    text: str = ""


class Worker:
    """A child process. Raises `Later` when it does not start or does not pass its self test. `level`: how far its isolation reached."""

    def __init__(self, family: Family, max_pixels: int) -> None:
        command = [sys.executable, "-P", "-m", "satchel.postprocess.child", family.name, str(max_pixels)]
        self.family = family
        env = dict(family.environment) | {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, bufsize=0, start_new_session=True
            )
        except OSError as why:
            raise not_ready(f"cannot be started ({why})") from why
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        frames.widen(self._to, self._from)
        self._late = False
        try:
            self.level = self._hello()
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._process.poll() is None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Kill the child after so long, which ends every read and write in the block.

        Raises `TooSlow` then, and `Died` when the child ended by itself or talked nonsense.
        """
        try:
            with _deadlines.within(seconds, self._expire):
                yield
        except (EOFError, BrokenPipeError, msgspec.DecodeError) as why:
            raise TooSlow if self._late else Died(str(why)) from why

    def ask(self, source: Source, plan: Plan | None = None, *, again: bool = False, hold: bool = False) -> Reply:
        """Hand over the file, with a plan to carry out or else for a probe, and read the answer. Call it inside `within`.

        The bytes that the answer announces are still to be read. `hold`: the child is to keep the file; `again`: it was told so before.
        """
        request = {"format": source.format, "mime": source.mime, "size": source.size, "plan": plan, "again": again, "hold": hold}
        try:
            frames.send(self._to, msgspec.json.encode(request))
            for block in () if again else source.blocks():
                frames.send_bytes(self._to, block)
        except BrokenPipeError:
            pass  # A child that had no memory for the file has said so and ended.
        reply = msgspec.json.decode(self._frame(), type=Reply)
        if not 0 <= reply.size <= (max(plan.most, source.size + STRIP_ADDS) if plan else 0):
            raise EOFError(f"an answer of {reply.size} bytes to {source.size} bytes")
        return reply

    def body(self, size: int) -> Iterator[memoryview]:
        """The bytes that follow an answer; each block is valid until the next. Call it inside `within`."""
        buffer = memoryview(bytearray(frames.BLOCK))
        while size:
            block = buffer[:size]
            frames.receive_into(self._from, block)
            yield block
            size -= len(block)

    def kill(self) -> None:
        """End it at once, from any thread; `end` must still follow."""
        self._process.kill()

    def end(self) -> None:
        """Kill it if need be, and release everything it held."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def _hello(self) -> list[str]:
        try:
            with self.within(START_SECONDS):
                hello = msgspec.json.decode(self._frame(), type=Hello)
        except (Died, TooSlow) as why:
            raise not_ready("ended or hung while starting") from why
        if hello.failed:
            raise not_ready(f"failed its self test ({hello.failed})")
        return hello.level

    def _frame(self) -> bytes:
        message = frames.receive(self._from)
        if message is None:
            raise EOFError("it ended without an answer")
        return message

    def _expire(self) -> None:
        self._late = True
        self._process.kill()


def not_ready(what: str) -> Later:
    """Said where a child could not be started, or does not answer as one."""
    return Later(
        NOT_READY, f"The process that decodes media {what}: it is tried again; see the log of this host if it goes on.", after=10.0
    )
