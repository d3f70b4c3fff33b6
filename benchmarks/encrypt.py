"""`python -m benchmarks.encrypt`: one file of 100 MiB encrypted, beside `openssl speed`, beside npm's baileys where node is there.

Interleaved rounds that the rest of the machine left alone, medians; the memory is what a process of its own grew by.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import quiet, report, scratch
from benchmarks.report import Row

MB = 1 << 20
SIZE = 100 * MB
BAILEYS = "baileys@7.0.0-rc14"
SCRIPT = """
import {encryptedStream} from 'baileys';
const t = process.hrtime.bigint();
const {encFilePath} = await encryptedStream({url: process.argv[2]}, 'document', {});
console.log(Number(process.hrtime.bigint() - t) / 1e9);
const fs = await import('fs'); if (encFilePath) fs.unlinkSync(encFilePath);
"""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encrypt", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="write the table into docs/explanation/performance.md")
    parser.add_argument("--once", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        print(*_once(Path(options.once)))
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = Path(folder) / "plain"
        file.write_bytes(os.urandom(SIZE))
        about = f"`python -m benchmarks.encrypt`, median of {options.rounds} rounds, {time.strftime('%Y-%m-%d')}, on"
        text = report.table(_rows(file, options.rounds), about)
    print(text)
    if options.write:
        report.write("encrypt", text)


def _rows(file: Path, rounds: int) -> list[Row]:
    node = _baileys()
    found = quiet.rounds(lambda: _round(file, node), rounds)
    ours, grown, aes, theirs = (list(column) for column in zip(*found, strict=True))
    speed, stage = statistics.median(ours), statistics.median(aes)
    rows = [
        _faster("encrypt 100 MiB, against openssl AES-256-CBC", speed, stage, 0.50, 0.60),
        Row("encrypt 100 MiB, memory added", statistics.median(grown), " MiB", 40, 25),
    ]
    if node:
        rows.insert(1, _faster("encrypt 100 MiB, against baileys", speed, statistics.median(theirs), 2.2, 2.6))
    return rows


def _round(file: Path, node: Path | None) -> tuple[float, float, float, float]:
    """MB/s of ours, MiB it grew by, MB/s of openssl and of baileys."""
    seconds, kib = (float(part) for part in _run([sys.executable, "-m", "benchmarks.encrypt", "--once", str(file)]).split())
    theirs = float(_run(["node", "encrypt.mjs", str(file)], node).split()[-1]) if node else 1.0
    return SIZE / seconds / 1e6, kib / 1024, _openssl(), SIZE / theirs / 1e6


def _faster(what: str, ours: float, peer: float, must: float, aim: float) -> Row:
    return Row(what, ours / peer, "×", must, aim, shown=f"{ours:.0f} : {peer:.0f} MB/s", more=True)


def _once(file: Path) -> tuple[float, float]:
    """Seconds for the second file of a process, as for all but the first of a node, and KiB that both made the process grow by."""
    from satchel.upstream.sandbox.encryption import encrypt

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, seconds = _kib("VmRSS"), 0.0
    for _ in range(2):
        with tempfile.TemporaryFile(dir=file.parent, buffering=0) as into, file.open("rb", buffering=0) as source:
            began = time.perf_counter()
            encrypt(source, into, "document", bytes(32), SIZE)
            seconds = time.perf_counter() - began
    return seconds, _kib("VmHWM") - before


def _kib(name: str) -> float:
    return float(re.findall(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())[0])


def _openssl() -> float:
    """MB/s of one core."""
    said = _run(["openssl", "speed", "-seconds", "1", "-bytes", str(MB), "-evp", "aes-256-cbc"])
    return float(re.findall(r"([0-9.]+)k\s*$", said.strip())[-1]) / 1000


def _baileys() -> Path | None:
    """A folder in which node finds it; installed at the first run."""
    if not shutil.which("node") or not shutil.which("npm"):
        print("node is not there: apt-get install -y nodejs npm; the comparison with baileys is left out", file=sys.stderr)
        return None
    folder = scratch.CACHE / "baileys"
    if not (folder / "node_modules/baileys").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"type": "module"}')
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--ignore-scripts", BAILEYS], cwd=folder, check=True)
    (folder / "encrypt.mjs").write_text(SCRIPT)
    return folder


def _run(command: list[str], cwd: Path | None = None) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout


if __name__ == "__main__":
    main()
