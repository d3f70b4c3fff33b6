"""`make bench-remux`: what it costs to make a compliant video ready to go out, beside the ffmpeg command doing the same."""

import argparse
import asyncio
import hashlib
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import av

from benchmarks import report
from benchmarks.processes import CannotRun, tree
from benchmarks.report import Row
from satchel.domain.plans import Plan, Rules, plan
from satchel.postprocess import Config
from satchel.postprocess.children import Children

SIZE, ROUNDS = 13_000_000, 15
COPY = ("-c", "copy", "-map_metadata", "-1", "-movflags", "+faststart")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remux", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/explanation/performance.md")
    options = parser.parse_args()
    try:
        with TemporaryDirectory(prefix="satchel-bench-") as folder:
            rows = asyncio.run(_measured(Path(folder)))
    except CannotRun as error:
        raise SystemExit(str(error)) from None
    text = report.table(rows, f"`make bench-remux`, best of {ROUNDS} rounds, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    if options.write:
        report.write("bench-remux", text)


async def _measured(folder: Path) -> list[Row]:
    if not shutil.which("ffmpeg"):
        raise CannotRun("The ffmpeg command is missing: apt-get install ffmpeg")
    path = folder / "video.mp4"
    _film(path)
    pool = Children(Config(children=1))
    try:
        todo = plan(await pool.probe(path), "video", Rules())
        assert todo.action == "strip"
        ours, with_probe, theirs = [], [], []
        for _ in range(ROUNDS):
            ours.append(await _cost(pool, path, folder / "ours.mp4", todo))
            begun = _used()
            await pool.probe(path)
            with_probe.append(ours[-1] + _used() - begun)
            theirs.append(_command(path, folder / "theirs.mp4") + _hash(folder / "theirs.mp4"))
    finally:
        await pool.close()
    return [
        _row("13 MB mp4, index in front, CPU against the ffmpeg command and one SHA-256 pass", min(ours), min(theirs), 0.5, 0.3),
        _row("the same with the probe before it", min(with_probe), min(theirs), 1.0, 0.5),
    ]


def _row(what: str, ours: float, theirs: float, must: float, aim: float) -> Row:
    return Row(what, ours / theirs, "×", must, aim, shown=f"{ours * 1e3:.0f} : {theirs * 1e3:.0f} ms")


async def _cost(pool: Children, path: Path, into: Path, todo: Plan) -> float:
    """CPU seconds of one rendition, in the child and in this process: reading, pipes, hash and file included."""
    begun = _used()
    await pool.render(path, todo, into)
    used = _used() - begun
    into.unlink()
    return used


def _used() -> float:
    """CPU seconds of this process and its child, which has one thread, to the nanosecond."""
    child = sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in tree(os.getpid()) if pid != os.getpid())
    return time.process_time() + child / 1e9


def _command(path: Path, into: Path) -> float:
    begun = _ended_children()
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(path), *COPY, str(into)], check=True, stdin=subprocess.DEVNULL)
    return _ended_children() - begun


def _hash(path: Path) -> float:
    data, begun = path.read_bytes(), time.process_time()
    hashlib.sha256(data)
    return time.process_time() - begun


def _ended_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _film(path: Path) -> None:
    """Some seconds of 720p with sound, as a telephone writes them: about 5 Mbit/s, the index at the end."""
    with av.open(str(path), "w", format="mp4") as into:
        picture = into.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.bit_rate = 1280, 720, 5_100_000
        sound = into.add_stream("aac", rate=44_100)
        shown = av.open("testsrc2=size=1280x720:rate=30:duration=20,noise=alls=12:allf=t", format="lavfi")
        heard = av.open("sine=frequency=440:sample_rate=44100:duration=20", format="lavfi").decode(audio=0)
        for frame in shown.decode(video=0):
            frame.pict_type = 0
            into.mux(picture.encode(frame.reformat(format="yuv420p")))
            for tone in heard:
                into.mux(sound.encode(tone))
                if (tone.time or 0) >= (frame.time or 0):
                    break
        into.mux(picture.encode(None))
        into.mux(sound.encode(None))


if __name__ == "__main__":
    main()
