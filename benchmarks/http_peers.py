"""`make bench-http`: ours, nginx and Synapse in one run, in interleaved rounds; best of the rounds for CPU, median for speed.

Prints a table of ratios against the bars, writes it into docs/explanation/performance.md, and everything measured as JSON.
"""

import argparse
import contextlib
import dataclasses
import json
import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import memory, node, peers, report, scratch
from benchmarks.cells import COUNTS, SIZES, Cell, cells, sha256_cpu_gb
from benchmarks.load import Figures
from benchmarks.node import Server
from benchmarks.processes import CannotRun
from benchmarks.report import Row

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True)
class Result:
    """`rounds`: the figures by server and cell; `sha256`: CPU seconds of one pass over 10^9 bytes."""

    rounds: dict[tuple[str, str], list[Figures]]
    sha256: float
    memory: memory.Memory | None

    def best(self, server: str, cell: str, figure: str) -> float:
        """The least of the rounds; not a number where nothing was measured."""
        return min((float(getattr(one, figure)) for one in self.rounds.get((server, cell), [])), default=float("nan"))

    def median(self, server: str, cell: str, figure: str) -> float:
        return statistics.median([float(getattr(one, figure)) for one in self.rounds[server, cell]])


def main() -> None:
    """Measure, print, write."""
    options = _options()
    try:
        with scratch.fresh() as folder:
            result = _measured(options, folder)
    except CannotRun as error:
        raise SystemExit(str(error)) from None
    rows = _rows(result)
    text = report.table(rows, f"`make bench-http`, best of {options.rounds} rounds, {time.strftime('%Y-%m-%d')}, on")
    text += "\n\n" + _speeds(result)
    print(text)
    OUT.mkdir(exist_ok=True)
    (OUT / "http.json").write_text(json.dumps(_raw(result), indent=1))
    if options.write:
        report.write("bench-http", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http_peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", default=".", metavar="REGEX", help='only these cells, such as "GET 20" or "POST"')
    parser.add_argument("--peers", default="nginx,synapse", help="which of nginx, synapse; may be empty")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave the memory of a Webapp process out")
    parser.add_argument("--write", action="store_true", help="write the table into docs/explanation/performance.md")
    return parser.parse_args()


def _measured(options: argparse.Namespace, folder: Path) -> Result:
    scratch.touch_memory(folder)
    held = memory.measure(folder / "memory") if options.memory else None
    rounds: dict[tuple[str, str], list[Figures]] = {}
    passes = []
    with contextlib.ExitStack() as stack:
        todo = _all_cells(options, folder, stack)
        for number in range(options.rounds):
            passes.append(sha256_cpu_gb())
            for cell in todo:
                figures = cell.measure()
                rounds.setdefault((cell.server.name, cell.name), []).append(figures)
                _tell(number, cell, figures)
    return Result(rounds, min(passes), held)


def _all_cells(options: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> list[Cell]:
    """Neighbours are the same cell on different servers, so that a slow minute of the machine hits them alike."""
    wanted = re.compile(options.cells).search
    offered = {size: [f"{bytes_}.{n}.bin" for n in range(COUNTS[size])] for size, bytes_ in SIZES.items()}
    found: list[Cell] = cells(stack.enter_context(node.started(_made(folder / "ours"))), lambda name: bool(wanted(name)))
    if "nginx" in options.peers:
        files = {id_: SIZES[size] for size, ids in offered.items() for id_ in ids}
        server: Server = stack.enter_context(peers.nginx(_made(folder / "nginx"), files))
        found += cells(server, lambda name: bool(wanted(name)), offered)
    if "synapse" in options.peers:
        server = stack.enter_context(peers.synapse(_made(folder / "synapse"), scratch.CACHE))
        found += cells(server, lambda name: bool(wanted(name)) and "20 KiB" in name)
    return sorted(found, key=lambda cell: (cell.verb, SIZES[cell.size]))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _tell(number: int, cell: Cell, figures: Figures) -> None:
    print(
        f"round {number + 1}: {cell.server.name:8} {cell.name:12} {figures.cpu_us:10.1f} us CPU, {figures.cpu_gb:6.3f} s/GB, "
        f"{figures.req_s:8.1f} req/s, p99 {figures.p99_ms:.2f} ms, client {figures.client:.2f}, errors {figures.errors}",
        file=sys.stderr,
        flush=True,
    )


def _rows(result: Result) -> list[Row]:
    rows = [_per_gb(result, f"GET {size}", 0.0, 1.3, 1.0) for size in ("1 MiB", "16 MiB", "100 MiB")]
    rows += [_per_gb(result, f"POST {size}", result.sha256, 1.5, 1.15) for size in ("16 MiB", "100 MiB")]
    for cell, less in (("GET 20 KiB", (9, 15)), ("POST 20 KiB", (6, 10))):
        rows += [_per_request(result, cell, "nginx", (6, 3), False), _per_request(result, cell, "synapse", less, True)]
    if held := result.memory:
        rows += [
            Row("8 parallel uploads of 100 MiB, peak memory", held.uploads_peak_mb, " MB", 90, 60),
            Row("a stalled reader of 100 MiB, memory", held.reader_mb, " MB", 1, 0.1, shown=f"{held.reader_threads:g} threads"),
            Row("an idle Webapp process, memory", held.idle_mb, " MB", 90, 60),
        ]
    return [row for row in rows if row.value == row.value]


def _per_gb(result: Result, cell: str, extra: float, must: float, aim: float) -> Row:
    ours, theirs = result.best("satchel", cell, "cpu_gb"), result.best("nginx", cell, "cpu_gb") + extra
    than = "nginx PUT and one SHA-256 pass" if extra else "nginx sendfile"
    return Row(f"{cell}, CPU against {than}", ours / theirs, "×", must, aim, shown=f"{ours:.3f} : {theirs:.3f} s/GB")


def _per_request(result: Result, cell: str, peer: str, bars: tuple[float, float], less: bool) -> Row:
    ours, theirs = result.best("satchel", cell, "cpu_us"), result.best(peer, cell, "cpu_us")
    value = theirs / ours if less else ours / theirs
    return Row(f"{cell}, CPU against {peer}", value, "×", *bars, less=less, shown=f"{ours:.0f} : {theirs:.0f} µs")


def _speeds(result: Result) -> str:
    lines = ["| request, 8 connections | server | requests/s | MB/s | p50 ms | p99 ms |", "|---|---|---|---|---|---|"]
    for server, cell in sorted(result.rounds, key=lambda key: (key[1].split()[0], SIZES[key[1].partition(" ")[2]], key[0])):
        figures = [result.median(server, cell, name) for name in ("req_s", "mb_s", "p50_ms", "p99_ms")]
        lines.append(f"| {cell} | {server} | " + " | ".join(f"{figure:.4g}" for figure in figures) + " |")
    return "\n".join(lines)


def _raw(result: Result) -> dict[str, Any]:
    rounds = [
        {"server": server, "cell": cell, **{name: value for name, value in dataclasses.asdict(one).items() if name != "answers"}}
        for (server, cell), figures in result.rounds.items()
        for one in figures
    ]
    held = dataclasses.asdict(result.memory) if result.memory else None
    return {"machine": report.machine(), "sha256_cpu_gb": result.sha256, "memory": held, "rounds": rounds}


if __name__ == "__main__":
    main()
