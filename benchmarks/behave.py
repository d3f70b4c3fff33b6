"""`make behave`: how the Webapp answers early refusals, chunked and aborted uploads, slow clients, ranges and a SIGTERM. Prints JSON."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import memory, node, processes, scratch
from benchmarks.node import Server
from benchmarks.probes import BLOCK, answer, ask, dial, post_head, push, upload

LIMIT = 100 << 20
OVER = LIMIT + (64 << 20)


def main() -> None:
    """Every probe on a Webapp of its own making; the last one ends it."""
    found: dict[str, Any] = {}
    with scratch.fresh() as folder, node.started(folder) as server:
        for name, probe in PROBES.items():
            try:
                found[name] = probe(server)
            except Exception as error:  # noqa: BLE001 - a probe must not stop the others
                found[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(found, indent=1))


def expect_continue(server: Server) -> dict[str, Any]:
    """The body waits for the word."""
    with dial(server) as connection:
        begun = time.perf_counter()
        connection.sendall(post_head(server, "Content-Length: 1000\r\nExpect: 100-continue\r\n"))
        first, ms = answer(connection).status, (time.perf_counter() - begun) * 1e3
        connection.sendall(b"y" * 1000)
        return {"first": first, "ms": round(ms, 1), "then": answer(connection).status}


def expect_too_large(server: Server) -> int | None:
    """Refused without a byte of the body."""
    return _expecting(server, OVER)


def expect_bad_token(server: Server) -> int | None:
    return _expecting(replace(server, token="nope"), 1_000_000)


def _expecting(server: Server, size: int) -> int | None:
    with dial(server, 3) as connection:
        connection.sendall(post_head(server, f"Content-Length: {size}\r\nExpect: 100-continue\r\n"))
        return answer(connection).status


def too_large_declared(server: Server) -> dict[str, Any]:
    return push(server, f"Content-Length: {OVER}\r\n", OVER)


def too_large_chunked(server: Server) -> dict[str, Any]:
    return push(server, "Transfer-Encoding: chunked\r\n", OVER, chunked=True)


def bad_token_16_mib(server: Server) -> dict[str, Any]:
    return push(replace(server, token="nope"), f"Content-Length: {16 << 20}\r\n", 16 << 20)


def chunked(server: Server) -> dict[str, Any]:
    """Small chunks arrive whole."""
    with dial(server) as connection:
        connection.sendall(post_head(server, "Transfer-Encoding: chunked\r\n") + (b"400\r\n" + b"z" * 1024 + b"\r\n") * 20 + b"0\r\n\r\n")
        got = answer(connection)
    id_ = json.loads(got.body)["media"][0]["id"]
    return {"status": got.status, "size_back": len(ask(server, f"GET /v1/media/{id_}").body)}


def aborted_upload(server: Server) -> dict[str, int]:
    """Files of the volume while an upload runs, and after it was broken off."""
    before = _files(server)
    with dial(server) as connection:
        connection.sendall(post_head(server, "Content-Length: 4000000\r\n") + b"q" * 1_000_000)
        time.sleep(0.4)
        during = len(_files(server) - before)
    time.sleep(1)
    return {"files_during": during, "files_left": len(_files(server) - before)}


def _files(server: Server) -> set[Path]:
    return {path for path in server.uploads.parent.rglob("*") if path.is_file()}


def slow_senders(server: Server) -> dict[str, float]:
    """What others wait while 50 uploads trickle in."""
    line, times = f"GET /v1/media/{upload(server, b'k' * 20480)}", []
    with ExitStack() as stack:
        senders = [stack.enter_context(dial(server)) for _ in range(50)]
        for sender in senders:
            sender.sendall(post_head(server, "Content-Length: 1000000\r\n"))
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            for sender in senders:
                sender.sendall(b"s" * 100)
            begun = time.perf_counter()
            ask(server, line)
            times.append((time.perf_counter() - begun) * 1e3)
    times.sort()
    return {"get_p50_ms": round(times[len(times) // 2], 2), "get_max_ms": round(times[-1], 2)}


def slow_readers(server: Server) -> dict[str, float]:
    """What readers of 100 MiB that read nothing hold, each."""
    mb, threads = memory.stalled(server, upload(server, os.urandom(1 << 20) * (LIMIT >> 20)))
    return {"each_mb": round(mb, 2), "each_threads": threads}


def ranges(server: Server) -> dict[str, Any]:
    """Whole, part, end, beyond, conditional, HEAD."""
    data = bytes(range(256)) * 400
    line = f"/v1/media/{upload(server, data)}"
    whole, part, end = (
        ask(server, f"GET {line}"),
        ask(server, f"GET {line}", "Range: bytes=100-199\r\n"),
        ask(server, f"GET {line}", "Range: bytes=-50\r\n"),
    )
    etag = re.search(r"(?i)\r\netag:\s*(\S+)", whole.head)
    return {
        "whole": [whole.status, whole.body == data],
        "part": [part.status, part.body == data[100:200]],
        "end": [end.status, end.body == data[-50:]],
        "beyond": ask(server, f"GET {line}", "Range: bytes=999999-\r\n").status,
        "if_none_match": ask(server, f"GET {line}", f"If-None-Match: {etag[1]}\r\n").status if etag else "no ETag",
        "head": ask(server, f"HEAD {line}").status,
    }


def sigterm_during_upload(server: Server) -> dict[str, Any]:
    """An upload in flight ends well, nobody new gets in, the process goes."""
    blocks, refused, begun = 20, None, 0.0
    with dial(server, 15) as connection:
        connection.sendall(post_head(server, f"Content-Length: {blocks * len(BLOCK)}\r\n"))
        for number in range(blocks):
            connection.sendall(BLOCK)
            time.sleep(0.1)
            if number == blocks // 4:
                begun = time.monotonic()
                os.kill(server.pid, signal.SIGTERM)
            if number == blocks // 2:
                refused = _refused(server)
        status = answer(connection).status
    while processes.state(server.pid) != "Z" and time.monotonic() < begun + 30:
        time.sleep(0.05)
    return {"upload": status, "new_connections_refused": refused, "exit_s": round(time.monotonic() - begun, 1)}


def _refused(server: Server) -> bool:
    try:
        dial(server, 1).close()
    except OSError:
        return True
    return False


PROBES: dict[str, Callable[[Server], Any]] = {
    probe.__name__: probe
    for probe in (
        expect_continue,
        expect_too_large,
        expect_bad_token,
        too_large_declared,
        too_large_chunked,
        bad_token_16_mib,
        chunked,
        aborted_upload,
        slow_senders,
        slow_readers,
        ranges,
        sigterm_during_upload,
    )
}

if __name__ == "__main__":
    main()
