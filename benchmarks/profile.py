"""`python -m benchmarks.profile "GET 20 KiB"`: where the CPU of a Webapp process goes under one kind of request.

Python functions by py-spy, native ones by perf, each where it is installed (pip install py-spy; apt-get install linux-perf; both as root).
"""

import argparse
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks import node, scratch
from benchmarks.cells import Cell, cells
from benchmarks.load import run

SECONDS = 6


def main() -> None:
    """Profile the cells that the pattern names, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("cells", metavar="REGEX", help='such as "GET 20", "POST 16 MiB"')
    parser.add_argument("--lines", type=int, default=25, help="how many functions to show")
    options = parser.parse_args()
    with scratch.fresh() as folder, node.started(folder) as server:
        for cell in cells(server, lambda name: bool(re.search(options.cells, name))):
            _profile(cell, folder, options.lines)


def _profile(cell: Cell, folder: Path, lines: int) -> None:
    """Two loads, one watched by each profiler: together they would count each other."""
    print(f"\n== {cell.name}")
    if spy := shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{scratch.CACHE / 'synapse/bin'}:/usr/local/bin:/usr/bin"):
        raw = folder / "spy.txt"
        _watched(
            cell, [spy, "record", "--gil", "-p", str(cell.server.pid), "-d", str(SECONDS - 2), "-r", "400", "-f", "raw", "-o", str(raw)]
        )
        _print_python(raw.read_text(), lines)
    if perf := shutil.which("perf"):
        data = str(folder / "perf.data")
        record = [perf, "record", "-q", "-e", "cpu-clock", "-F", "999", "-p", str(cell.server.pid), "-o", data]
        _watched(cell, [*record, "--", "sleep", str(SECONDS - 2)])
        _print_native([perf, "report", "-i", data, "--stdio", "--percent-limit", "0.7"], lines)


def _watched(cell: Cell, command: list[str]) -> None:
    watching = threading.Thread(target=subprocess.run, args=(command,), kwargs={"capture_output": True})
    watching.start()
    figures = run(replace(cell.load(), seconds=SECONDS, most=1 << 40 if cell.verb == "GET" else 5 << 30), cell.server.pid)
    watching.join()
    print(f"{figures.cpu_us:.0f} us CPU per request, {figures.cpu_gb:.3f} s/GB, {figures.req_s:.0f} req/s (profiler on)")


def _print_python(raw: str, lines: int) -> None:
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [re.sub(r"\(.*/(?:site-packages|src|lib)/|\(", "(", frame, count=1) for frame in stack.split(";")]
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in frames]
        own[frames[-1]] += int(count)
        within.update({frame: int(count) for frame in set(frames)})
    total = sum(own.values()) or 1
    for title, counted in (("itself", own), ("with what it calls", within)):
        print(f"-- Python, {title}, % of the time the interpreter ran")
        for frame, seen in counted.most_common(lines):
            print(f"{100 * seen / total:6.1f}  {frame}")


def _print_native(command: list[str], lines: int) -> None:
    for title, sort in (("by library", "dso"), ("by function", "dso,symbol")):
        print(f"-- native, {title}")
        found = subprocess.run([*command, "--sort", sort], capture_output=True, text=True, check=False).stdout
        print("\n".join([line.rstrip(" -") for line in found.splitlines() if line.strip() and not line.startswith("#")][:lines]))


if __name__ == "__main__":
    main()
