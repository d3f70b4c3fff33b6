"""`make bench-reupload`: a video of 16 MB whose 14 days are over, from the phone's request until the phone has it, beside a plain download.

Both through a whole `satchel dev` with durable disks. A plain download is the phone's own of a copy that lives: fetched, checked,
decrypted, kept. And how long a reset of the sandbox takes.
"""

import argparse
import asyncio
import os
import statistics
import time
from pathlib import Path

import av

from benchmarks import report, scratch, sends
from benchmarks.report import Row
from benchmarks.sends import Bench

ROUNDS, RESETS = 15, 31
SECONDS, BITS = 20, 6_250_000
PHONE = "12025550111"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reupload", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/explanation/performance.md")
    options = parser.parse_args()
    with scratch.fresh() as folder:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the whole machine is what is measured
        rows = asyncio.run(_measured(folder))
    text = report.table(rows, f"`make bench-reupload`, median of {ROUNDS} rounds, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    if options.write:
        report.write("reupload", text)


async def _measured(folder: Path) -> list[Row]:
    async with sends.running(folder) as bench:
        film = folder / "film.mp4"
        await asyncio.to_thread(_film, film)
        message = await _sent(bench, film.read_bytes())
        plain, again = [], []
        for _ in range(ROUNDS):
            plain.append(await _download(bench, message))
            await _call(bench, "PUT", "/sandbox/clock", {"advance": "15d"})
            again.append(await _download(bench, message))
        resets = [await _reset(bench) for _ in range(RESETS)]
    one, two = statistics.median(plain), statistics.median(again)
    must, shown = round(2 + 0.05 / one, 2), f"{two * 1000:.0f} : {one * 1000:.0f} ms"
    return [
        Row(
            "re-upload of a video of 16 MB, request until the phone has it, against a plain download",
            two / one,
            "×",
            must,
            2,
            shown=shown,
        ),
        Row("a reset of the sandbox, p50", statistics.median(resets) * 1000, " ms", 50, 20),
    ]


async def _sent(bench: Bench, film: bytes) -> str:
    """The id of a message whose phone has had the film."""
    async with bench.http.post("/v1/media", data=film, headers={"Content-Type": "video/mp4"}) as answer:
        media = (await answer.json())["media"][0]["id"]
    async with bench.http.post("/v1/messages", json={"to": PHONE, "type": "video", "video": {"id": media}}) as answer:
        message = str((await answer.json())["messages"][0]["id"])
    async with bench.http.get(f"{bench.sandbox}/sandbox/phones/{PHONE}/messages?wait=60s") as answer:
        said = (await answer.json())["messages"]
    assert said[-1]["media"]["state"] == "downloaded", said
    return message


async def _download(bench: Bench, message: str) -> float:
    """Seconds from the tap until the phone has what it had forgotten."""
    await _call(bench, "POST", f"/sandbox/phones/{PHONE}/actions", {"do": "forget", "message": message})
    began = time.perf_counter()
    done = await _call(bench, "POST", f"/sandbox/phones/{PHONE}/actions?wait=40s", {"do": "download", "message": message})
    took = time.perf_counter() - began
    assert done["message"]["media"]["state"] == "downloaded", done
    return took


async def _reset(bench: Bench) -> float:
    began = time.perf_counter()
    await _call(bench, "POST", "/sandbox/reset", {})
    return time.perf_counter() - began


async def _call(bench: Bench, method: str, path: str, body: dict[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    async with bench.http.request(method, bench.sandbox + path, json=body) as answer:
        said: dict[str, dict[str, dict[str, str]]] = await answer.json()
        return said


def _film(path: Path) -> None:
    """So much of 720p with noise in it that it has about 16 MB, with the index at the end, as a telephone writes it."""
    with av.open(str(path), "w", format="mp4") as into:
        picture = into.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.bit_rate = 1280, 720, BITS
        shown = av.open(f"testsrc2=size=1280x720:rate=30:duration={SECONDS},noise=alls=12:allf=t", format="lavfi")
        for frame in shown.decode(video=0):
            frame.pict_type = 0
            into.mux(picture.encode(frame.reformat(format="yuv420p")))
        into.mux(picture.encode(None))


if __name__ == "__main__":
    main()
