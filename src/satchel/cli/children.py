"""The child processes of `satchel dev`: started in sessions of their own, tied to us by a pipe, stopped together."""

import contextlib
import http.client
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import Self
from urllib.parse import urlsplit

from satchel.cli.lifeline import VARIABLE

READY_WITHIN = 60.0
STOP_WITHIN = 35.0


@dataclass(frozen=True)
class Child:
    """`name`: for people; `module`: what `python -m` runs, with its arguments."""

    name: str
    module: list[str]


class Stopped(Exception):
    """The end: a signal (`child` is None), or a child that died and how."""

    def __init__(self, text: str, child: str | None = None) -> None:
        super().__init__(text)
        self.child = child


class Supervisor:
    """Starts children and stops all of them at the end, the last one started first."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._ends: queue.SimpleQueue[Stopped] = queue.SimpleQueue()
        self._running: list[tuple[Child, subprocess.Popen[bytes]]] = []
        self._reading, self._writing = os.pipe()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for child, process in reversed(self._running):
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                sys.stderr.write(f"satchel: {child.name} did not stop within {STOP_WITHIN:.0f} s and was killed.\n")
                process.kill()
                process.wait()
        os.close(self._writing)
        os.close(self._reading)

    def start(self, child: Child) -> None:
        """Start a child; its end, whenever it comes, ends `wait`."""
        environ = {**self._environ, VARIABLE: str(self._reading)}
        command = [sys.executable, "-m", *child.module]
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=[self._reading])
        self._running.append((child, process))
        threading.Thread(target=self._watch, args=(child, process), daemon=True).start()

    def wait_ready(self, url: str) -> None:
        """Until the address answers 200. Raises `Stopped` when something ends first."""
        deadline = time.monotonic() + READY_WITHIN
        while not _answers(url):
            if time.monotonic() > deadline:
                raise Stopped(f"{url} did not become ready within {READY_WITHIN:.0f} s; the lines above say what is lacking.", "start")
            with contextlib.suppress(queue.Empty):
                raise self._ends.get(timeout=0.03)

    def wait(self) -> None:
        """Until a signal or the end of a child, raised as `Stopped`."""
        raise self._ends.get()

    def _watch(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._ends.put(Stopped(f"{child.name} (process {process.pid}) {how}.", child.name))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._ends.put(Stopped(signal.Signals(number).name))


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
