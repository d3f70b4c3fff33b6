"""The page on blocks names the members and the numbers of the code."""

import re
from pathlib import Path

import msgspec
import pytest

from satchel_sandbox import blocks, bubbles, compose

PAGE = (Path(__file__).parents[2] / "docs/reference/phone-blocks.md").read_text(encoding="utf-8")
SHAPES: dict[str, type[msgspec.Struct]] = {
    "date": blocks.Date,
    "unread": blocks.Unread,
    "album": blocks.Album,
    "A bubble": blocks.Bubble,
    "media": blocks.Shown,
}


@pytest.mark.parametrize("section", SHAPES)
def test_members_are_those_of_the_code(section: str) -> None:
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    members, _, _ = text.partition("| state |")
    documented = re.findall(r"^\| `(\w+)` \|", members, re.MULTILINE)
    assert documented == [field.encode_name for field in msgspec.structs.fields(SHAPES[section])]


def test_numbers_are_those_of_the_code() -> None:
    assert f"`view` is {blocks.VIEW}." in PAGE
    assert f"{compose.ALBUM} or more images in a row, drawn as a grid of {compose.CELLS} cells" in PAGE
    assert f"Android one line of {bubbles.ANDROID_LABEL} characters" in PAGE
    assert f"{bubbles.ANDROID_LABEL} is this product's guess" in PAGE
    assert f"`{bubbles.UNTITLED}`" in PAGE


def test_kinds_are_those_of_the_code() -> None:
    (row,) = re.findall(r"^\| `kind` \| (`text`.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == {*bubbles.KINDS, "audio", "voice", "unsupported"}
