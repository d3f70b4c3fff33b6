"""`python -m benchmarks.kit`: what the test kit costs a test: the session's start, fifty tests on two workers, a reset, a photo's way."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.report import Row

ROOT = Path(__file__).parents[1]
SAMPLE = Path(__file__).with_name("kit_sample.py")
PHASE = re.compile(r"^([\d.]+)s (setup|teardown) +\S+::(\S+)$", re.MULTILINE)
PLUGINS = ("-p", "satchel.testing.plugin", "-p", "xdist", "-p", "no:cacheprovider")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kit", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many")
    parser.add_argument("--write", action="store_true", help="write the table into docs/explanation/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = _rows(Path(folder), options.rounds)
    text = report.table(rows, f"`python -m benchmarks.kit`, best of {options.rounds} rounds, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    if options.write:
        report.write("kit", text)


def _rows(folder: Path, rounds: int) -> list[Row]:
    tests = [_phases(folder, "-n", "2", "-k", "text") for _ in range(rounds)]
    starts = [max(_phases(folder, "-k", "closer")) for _ in range(rounds)]
    closer = json.loads((folder / "figures").read_text())
    overhead = min(sum(sorted(phases)[:-4]) / 50 for phases in tests)  # without the start and the end of each worker's node
    whole = min(sum(phases) / 50 for phases in tests)
    return [
        Row("50 tests with `-n 2`: set-up and tear-down of one, mean", overhead * 1000, " ms", 80, 40),
        Row("the same with the start and the end of both nodes in it", whole * 1000, " ms", 80, 40),
        Row("the session's start: three processes, until the first message may be sent", min(starts) * 1000, " ms", 700, 700),
        Row("a reset of the network, p50", closer["empty"], " ms", 50, 20),
        Row("a reset after 51 messages, p50", closer["full"], " ms", 50, 20),
        Row("a photo of 200 kB, from its upload until `wait_for` has it, p50", closer["trip"], " ms", 150, 60),
    ]


def _phases(folder: Path, *arguments: str) -> list[float]:
    """Seconds of every set-up and tear-down, in no order."""
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT / "src"), "KIT_FIGURES": str(folder / "figures")}
    command = [sys.executable, "-m", "pytest", *PLUGINS, "--durations=0", "-vv", *arguments, str(SAMPLE)]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:])
    found = [float(seconds) for seconds, _, _ in PHASE.findall(done.stdout)]
    assert statistics.mean(found) > 0, done.stdout
    return found


if __name__ == "__main__":
    main()
