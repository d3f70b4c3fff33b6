"""Child processes of `satchel dev` and `satchel serve`: in sessions of their own, tied to us by a pipe, stopped together."""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Self

import structlog

from satchel.cli import say
from satchel.cli.lifeline import VARIABLE
from satchel.client.connection import Trusted, Unreachable, fetch, trust

LISTENER = "SATCHEL_LISTENER_FD"
"""Names the listening socket that a Webapp inherits."""
HOPELESS = (say.USAGE, say.CONFIGURATION)

log = structlog.get_logger("satchel")
READY_WITHIN = 60.0
STOP_WITHIN = 35.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a child that died is started again; each death soon after a start doubles them."""
SETTLED = 30.0
"""Seconds after which a child that dies had been well."""


@dataclass(frozen=True)
class Child:
    """`name`: for people, those of one name stop at the same time; `module`: what `python -m` runs, with its arguments.

    `again`: start it again when it dies, unless what it was told cannot be used. `listener`: a socket that it inherits.
    """

    name: str
    module: list[str]
    again: bool = False
    listener: socket.socket | None = None


class Stopped(Exception):
    """The end: a signal (`child` is None), or a child that died, how, and its exit code."""

    def __init__(self, text: str, child: str | None = None, code: int = 0) -> None:
        super().__init__(text)
        self.child = child
        self.code = code


class Supervisor:
    """Starts children and stops all of them at the end, the last ones started first."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._ends: queue.SimpleQueue[Stopped] = queue.SimpleQueue()
        self._running: dict[int, tuple[Child, subprocess.Popen[bytes]]] = {}
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._reading, self._writing = os.pipe()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        self.start_no_more()
        for _, group in groupby(reversed(self._running.values()), key=lambda running: running[0].name):
            _stop(list(group))
        os.close(self._writing)
        os.close(self._reading)

    def start(self, child: Child) -> None:
        """Start a child; unless it is started again, its end, whenever it comes, ends `wait`."""
        place = len(self._running)
        self._running[place] = child, self._started(child)
        threading.Thread(target=self._keep, args=(place, child), daemon=True).start()

    def start_no_more(self) -> None:
        """From here on what dies stays dead."""
        with self._starting:
            self._stopping.set()

    def wait_ready(self, url: str, path: str, ca: Path | None = None) -> None:
        """Until the address answers 200; `ca`: whom to trust over https. Raises `Stopped` when something ends first."""
        deadline = time.monotonic() + READY_WITHIN
        trusted = trust(str(ca)) if ca else None
        while not _answers(url, path, trusted):
            if time.monotonic() > deadline:
                raise Stopped(
                    f"{url}{path} did not become ready within {READY_WITHIN:.0f} s; the lines above say what is lacking.", "start"
                )
            with contextlib.suppress(queue.Empty):
                raise self._ends.get(timeout=0.03)

    def wait(self) -> None:
        """Until a signal or the end of a child that is not started again, raised as `Stopped`."""
        raise self._ends.get()

    def _started(self, child: Child) -> subprocess.Popen[bytes]:
        environ = {**self._environ, VARIABLE: str(self._reading)}
        fds = [self._reading]
        if child.listener is not None:
            environ[LISTENER] = str(child.listener.fileno())
            fds.append(child.listener.fileno())
        command = [sys.executable, "-m", *child.module]
        return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=fds)

    def _keep(self, place: int, child: Child) -> None:
        """Watch a child through all its lives."""
        pause = FIRST_PAUSE
        while True:
            process, began = self._running[place][1], time.monotonic()
            code = process.wait()
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            if not child.again or code in HOPELESS:
                return self._ends.put(Stopped(f"{child.name} (process {process.pid}) {how}.", child.name, code))
            if self._stopping.is_set():
                return None
            pause = FIRST_PAUSE if time.monotonic() - began > SETTLED else pause
            log.warning("child_died", child=child.name, pid=process.pid, how=how, again_in=pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            with self._starting:
                if self._stopping.is_set():
                    return None
                try:
                    self._running[place] = child, self._started(child)
                except OSError as error:
                    return self._ends.put(Stopped(f"{child.name} cannot be started again ({error.strerror}).", child.name, say.UNEXPECTED))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._ends.put(Stopped(signal.Signals(number).name))


def _stop(children: list[tuple[Child, subprocess.Popen[bytes]]]) -> None:
    """Ask all of them to end, and make those end that do not."""
    deadline = time.monotonic() + STOP_WITHIN
    for _, process in children:
        process.terminate()
    for child, process in children:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"satchel: {child.name} did not stop within {STOP_WITHIN:.0f} s and was killed.\n")
            process.kill()
            process.wait()


def _answers(url: str, path: str, trusted: Trusted) -> bool:
    try:
        return fetch(url, path, trusted, timeout=2)[0] == 200
    except Unreachable:
        return False
