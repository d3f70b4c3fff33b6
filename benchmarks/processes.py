"""Servers under measurement: started on a core of their own, watched from outside, ended by pid."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, 1
START, STOP = 60.0, 15.0
"""Seconds that a server may take."""


class CannotRun(Exception):
    """Something is missing on this machine; the text says what to do."""


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """The pid of a server on the server core, ended when the context ends. Its output goes to `server.log` in the folder."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command], cwd=folder, env={**os.environ, **(environment or {})}, stdout=log, stderr=log
        )
    try:
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(port: int, path: str, pid: int, log: Path) -> None:
    """Until the server answers anything at all. Raises `CannotRun` when it ends or stays silent."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists() and state(pid) != "Z":
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise CannotRun(f"The server does not answer on port {port}; its log is {log}:\n{log.read_text(errors='replace')[-2000:]}")


def state(pid: int) -> str:
    """R, S, Z and so on, as ps shows it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in task.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree so far, to the nanosecond: the kernel's CPU clock of each process."""
    total = 0.0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            total += time.clock_gettime((~member << 3) | 2)
    return total


def forget_peak(pid: int) -> None:
    """Let `peak_mb` start again from what is held now."""
    for member in tree(pid):
        with contextlib.suppress(OSError):
            Path(f"/proc/{member}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    return _memory(pid, "VmHWM")


def resident_mb(pid: int) -> float:
    return _memory(pid, "VmRSS")


def threads(pid: int) -> int:
    return sum(len(list(Path(f"/proc/{member}/task").iterdir())) for member in tree(pid))


def _memory(pid: int, name: str) -> float:
    """Resident memory of the tree in MB of 10^6 bytes."""
    total = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{member}/status").read_text())
            total += int(found[1]) if found else 0
    return total * 1024 / 1e6
