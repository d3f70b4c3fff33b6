"""What a Webapp process holds: idle, under parallel uploads, and for readers that stall."""

import contextlib
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import node, processes
from benchmarks.load import run

SIZE = 100 << 20
CLIENTS = 8


@dataclass(frozen=True)
class Memory:
    """MB of 10^6 bytes; the last two for each stalled reader."""

    idle_mb: float
    uploads_peak_mb: float
    reader_mb: float
    reader_threads: float


def measure(folder: Path) -> Memory:
    """In a Webapp process of its own."""
    folder.mkdir()
    with node.started(folder) as server:
        time.sleep(1)
        idle = processes.resident_mb(server.pid)
        uploads = run(replace(server.upload(SIZE), connections=CLIENTS, seconds=0, least=2 * CLIENTS), server.pid)
        ids = node.stored(server, SIZE, 1)
        run(replace(server.download(SIZE, ids), connections=CLIENTS, seconds=1), server.pid)
        return Memory(idle, uploads.peak_mb, *stalled(server, ids[0]))


def stalled(server: node.Server, id_: str) -> tuple[float, float]:
    """MB and threads for each reader that asks for a media and then reads nothing."""
    memory, threads = processes.resident_mb(server.pid), processes.threads(server.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            reader.connect(("127.0.0.1", server.port))
            reader.sendall(server.head(server.download_line.format(id=id_)))
        time.sleep(1.5)
        grown = max(0.0, processes.resident_mb(server.pid) - memory)
        return grown / CLIENTS, (processes.threads(server.pid) - threads) / CLIENTS
