"""The page on post-processing states the numbers of the code."""

from pathlib import Path

from satchel.domain.limits import ENCRYPTED_BYTES, largest_plain
from satchel.domain.pictures import SIDE
from satchel.postprocess import repair
from satchel.postprocess.families import PICTURES

PAGE = (Path(__file__).parents[2] / "docs/reference/post-processing.md").read_text(encoding="utf-8")


def test_ceilings_are_those_of_the_code() -> None:
    for ceiling in ENCRYPTED_BYTES.values():
        assert f"{largest_plain(ceiling):,}" in PAGE


def test_the_numbers_of_a_repair_are_those_of_the_code() -> None:
    *first, last = repair.QUALITIES
    assert f"{', '.join(map(str, first))} and {last}" in PAGE and f"at {repair.SHRUNK_QUALITY}, until it fits" in PAGE
    assert f"{repair.MOST_PIXELS // 1_000_000} megapixels" in PAGE and f"{SIDE} × {SIDE}" in PAGE


def test_the_limits_of_a_child_are_those_of_the_code() -> None:
    assert f"{PICTURES.cpu} seconds of processor time, {PICTURES.wall:g} seconds\nin all" in PAGE
    assert f"{PICTURES.base >> 20} MiB and {PICTURES.per_pixel} bytes for each pixel" in PAGE
