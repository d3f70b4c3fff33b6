"""`python -m benchmarks.pictures`: what a picture costs on its way out, beside one re-encode by npm's sharp in the same run.

A picture that may go out as it is: CPU of Webapp, Coreapp and children from /v1/messages to the phone, the network's own left out.
A picture that must be made anew: wall time of the rendition.
"""

import argparse
import asyncio
import io
import json
import os
import shutil
import statistics
import subprocess
import time
from functools import partial
from pathlib import Path

from PIL import Image

from benchmarks import report, scratch, sends
from benchmarks.processes import CannotRun
from benchmarks.report import Row
from satchel.domain.plans import Rules, plan
from satchel.postprocess import Config
from satchel.postprocess.children import Children

SHARP = """
import sharp from 'sharp';
const [what, ...files] = process.argv.slice(2);
const one = (file) => (what === 'flatten' ? sharp(file).rotate().flatten({background: '#ffffff'}) : sharp(file).rotate())
  .jpeg({quality: 85}).toBuffer();
await one(files[0]);
const walls = [], before = process.cpuUsage();
for (const file of files) {
  const began = process.hrtime.bigint();
  await one(file);
  walls.push(Number(process.hrtime.bigint() - began) / 1e9);
}
const used = process.cpuUsage(before);
console.log(JSON.stringify({walls, cpu: (used.user + used.system) / 1e6 / files.length}));
"""
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--pictures", type=int, default=60, help="of 1 MB that may go out as they are")
    parser.add_argument("--rounds", type=int, default=7, help="of the pictures that must be made anew")
    parser.add_argument("--write", action="store_true", help="write the table into docs/explanation/performance.md")
    options = parser.parse_args()
    with scratch.fresh() as folder:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        rows = [_plain(options.pictures, folder), *_anew(options.rounds, folder)]
    text = report.table(rows, f"`python -m benchmarks.pictures`, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    if options.write:
        report.write("pictures", text)


def _plain(count: int, folder: Path) -> Row:
    files = [folder / f"{n}.jpg" for n in range(count)]
    for file in files:
        file.write_bytes(sends.picture(1_000_000))
    ours = asyncio.run(_cpu(files, folder)) * 1000
    theirs = _sharp("as-is", files)[1] * 1000
    shown = f"{ours:.1f} : {theirs:.1f} ms"
    return Row("a JPEG of 1 MB that may go out as it is, CPU against sharp", ours / theirs, "×", 0.5, 0.3, shown=shown)


async def _cpu(files: list[Path], folder: Path) -> float:
    """CPU seconds for one picture, its upload left out."""
    async with sends.running(folder / "node") as bench:
        media = await sends.in_turns([partial(bench.upload, file.read_bytes()) for file in files])
        await bench.latency(await bench.upload(sends.picture(200_000)))
        before = _used(bench.pid)
        await bench.rate(media)
        return (_used(bench.pid) - before) / len(files)


def _used(pid: int) -> float:
    """CPU seconds of a process's descendants, the simulated network's left out."""
    used = 0.0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"satchel_sandbox" not in Path(f"/proc/{child}/cmdline").read_bytes():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / TICKS + _used(int(child))
    return used


def _anew(rounds: int, folder: Path) -> list[Row]:
    return [
        _row("a transparent PNG of 12 megapixels", _png(folder), rounds),
        _row("a JPEG of 24 megapixels, over 5 MB", _jpeg(folder), rounds),
    ]


def _row(what: str, file: Path, rounds: int) -> Row:
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(asyncio.run(_rendered(file)))
        theirs.append(min(_sharp("flatten", [file] * 2)[0]))
    mine, peer = statistics.median(ours), statistics.median(theirs)
    return Row(f"{what}, wall against sharp", mine / peer, "×", 2.5, 1.3, shown=f"{mine * 1000:.0f} : {peer * 1000:.0f} ms")


async def _rendered(file: Path) -> float:
    """Seconds of one rendition in a child that is warm."""
    children = Children(Config(children=1))
    into = file.with_suffix(".out")
    try:
        todo = plan(await children.probe(file), "image", Rules())
        assert todo.action == "convert"
        began = time.perf_counter()
        await children.render(file, todo, into)
        return time.perf_counter() - began
    finally:
        await children.close()
        into.unlink(missing_ok=True)


def _scene(width: int, height: int) -> Image.Image:
    """Something like a photograph: a few shapes under a fine grain."""
    harbour = Path(__file__).parents[1] / "tests/media/harbour.jpg"
    return Image.blend(Image.open(harbour).resize((width, height)), Image.effect_noise((width, height), 60).convert("RGB"), 0.2)


def _png(folder: Path) -> Path:
    picture = _scene(4000, 3000).convert("RGBA")
    picture.putalpha(200)
    picture.save(folder / "a.png", compress_level=1)
    return folder / "a.png"


def _jpeg(folder: Path) -> Path:
    into = io.BytesIO()
    _scene(6000, 4000).save(into, "JPEG", quality=92)
    (folder / "b.jpg").write_bytes(into.getvalue())
    return folder / "b.jpg"


def _sharp(what: str, files: list[Path]) -> tuple[list[float], float]:
    """Wall seconds of each, and CPU seconds of one."""
    folder = scratch.CACHE / "sharp"
    if not shutil.which("node") or not shutil.which("npm"):
        raise CannotRun("node is not there: apt-get install -y nodejs npm")
    if not (folder / "node_modules/sharp").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"type": "module"}')
        subprocess.run(["npm", "install", "--silent", "--no-audit", "sharp"], cwd=folder, check=True)
    (folder / "sharp.mjs").write_text(SHARP)
    said = subprocess.run(["node", "sharp.mjs", what, *map(str, files)], cwd=folder, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    return found["walls"], found["cpu"]


if __name__ == "__main__":
    main()
