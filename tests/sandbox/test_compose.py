"""The composer: its vectors, and what holds for every conversation."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel_sandbox.blocks import Album, Block, Bubble, Date, Unread
from satchel_sandbox.clock import rfc3339
from satchel_sandbox.compose import ALBUM, CELLS, Visit, compose

NOON = "2026-11-24T12:00:00Z"
VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "composer.json").read_text(encoding="utf-8"))["vectors"]
ZONES = ("UTC", "Asia/Seoul", "America/St_Johns", "Pacific/Apia")


def named(block: Block) -> Any:
    """A block as the vectors write it."""
    match block:
        case Album():
            return [item.id for item in block.items]
        case Unread():
            return f"unread {block.count}"
        case Date():
            return "date"
        case Bubble():
            return block.id


def vectors(*names: str) -> pytest.MarkDecorator:
    """A test over the vectors whose names begin so."""
    chosen = [pytest.param(vector, id=vector["name"]) for vector in VECTORS if vector["name"].split()[0] in names]
    return pytest.mark.parametrize("vector", chosen)


def composed(vector: dict[str, Any]) -> list[Block]:
    bubbles = [msgspec.convert({"from": "a", "at": NOON, "ticks": "read", "why": [], **message}, Bubble) for message in vector["messages"]]
    return compose(bubbles, ZoneInfo(vector["timezone"]), Visit(**vector["visit"]))


def check(vector: dict[str, Any]) -> None:
    blocks = composed(vector)
    assert [named(block) for block in blocks] == vector["expect"], vector["case"]
    why = {message.id: block.why for block in blocks for message in told(block)}
    for message, reason in vector.get("why", {}).items():
        assert reason in why[message]


def told(block: Block) -> list[Bubble]:
    """The messages in a block."""
    return block.items if isinstance(block, Album) else [block] if isinstance(block, Bubble) else []


@vectors("V1", "V2", "V8", "V9", "V10")
def test_p23_four_images_in_a_row_are_an_album(vector: dict[str, Any]) -> None:
    check(vector)


@vectors("V5")
def test_p24_no_album_while_the_chat_is_open_on_arrival(vector: dict[str, Any]) -> None:
    check(vector)


@vectors("V3", "V4", "V6", "V7")
def test_p25_a_caption_the_divider_and_a_date_header_split(vector: dict[str, Any]) -> None:
    check(vector)


# What holds for every conversation


@st.composite
def conversations(draw: Any) -> list[Bubble]:
    """Mostly images, so that runs come about; times that mostly go forward."""
    kinds = st.sampled_from(["image"] * 8 + ["video", "text", "document", "sticker", "voice"])
    captions = st.sampled_from([None] * 8 + ["The harbour"])
    steps = draw(st.lists(st.tuples(kinds, captions, st.sampled_from("aaaab"), st.integers(-600, 40_000)), max_size=30))
    at, bubbles = 1_795_000_000.0, []
    for n, (kind, caption, sender, later) in enumerate(steps):
        at += later
        bubbles.append(Bubble(kind=kind, id=f"m{n}", sender=sender, at=rfc3339(at), caption=caption, ticks="read", why=[]))
    return bubbles


@st.composite
def visits(draw: Any, bubbles: list[Bubble]) -> Visit:
    ids: list[str | None] = [None, *(bubble.id for bubble in bubbles)]
    return Visit(draw(st.booleans()), draw(st.sampled_from(ids)), draw(st.integers(0, 30)), draw(st.sampled_from(ids)))


@st.composite
def situations(draw: Any) -> tuple[list[Bubble], str, Visit]:
    bubbles = draw(conversations())
    return bubbles, draw(st.sampled_from(ZONES)), draw(visits(bubbles))


def shown(bubbles: list[Bubble], zone: str, visit: Visit) -> list[Block]:
    return compose(bubbles, ZoneInfo(zone), visit)


def as_given(block: Bubble) -> Bubble:
    return msgspec.structs.replace(block, why=[])


@given(situations())
def test_every_message_is_shown_once_and_in_order(situation: tuple[list[Bubble], str, Visit]) -> None:
    bubbles, zone, visit = situation
    assert [as_given(item) for block in shown(bubbles, zone, visit) for item in told(block)] == bubbles


@given(situations())
def test_p23_albums_are_of_at_least_four_alike_images_and_no_run_is_left_out(situation: tuple[list[Bubble], str, Visit]) -> None:
    bubbles, zone, visit = situation
    ids = [bubble.id for bubble in bubbles]
    seen = set(ids[: ids.index(visit.horizon) + 1] if visit.horizon else []) if visit.open else set(ids)
    run: list[Bubble] = []
    for block in [*shown(bubbles, zone, visit), Unread(count=0, why=[])]:
        if isinstance(block, Album):
            assert len(block.items) >= ALBUM
            assert len({item.sender for item in block.items}) == 1
            assert all(item.kind == "image" and not item.caption and item.id in seen for item in block.items)
            assert block.more == (0 if len(block.items) <= CELLS else len(block.items) - CELLS + 1)
        loose = isinstance(block, Bubble) and block.kind == "image" and not block.caption and block.id in seen
        if isinstance(block, Bubble) and loose and (not run or run[-1].sender == block.sender):
            run.append(block)
        else:
            run = [block] if isinstance(block, Bubble) and loose else []
        assert len(run) < ALBUM


@given(situations())
def test_p25_date_headers_stand_where_the_day_changes_and_the_divider_once(situation: tuple[list[Bubble], str, Visit]) -> None:
    bubbles, zone, visit = situation
    blocks = shown(bubbles, zone, visit)
    assert sum(isinstance(block, Unread) for block in blocks) == (visit.divider_at is not None)
    days = [block.date for block in blocks if isinstance(block, Date)]
    assert all(one != next_ for one, next_ in pairwise(days))
    assert not bubbles or isinstance(blocks[0], Date)
    assert not any(isinstance(block, Date) and isinstance(after, Date) for block, after in pairwise(blocks))


@given(situations(), st.sampled_from(ZONES))
def test_p25_another_time_zone_moves_only_date_headers_and_albums(situation: tuple[list[Bubble], str, Visit], other: str) -> None:
    bubbles, zone, visit = situation
    one, two = ([as_given(item) for block in shown(bubbles, where, visit) for item in told(block)] for where in (zone, other))
    assert one == two


@given(situations(), st.integers(0, 30))
def test_p25_a_caption_never_enlarges_an_album(situation: tuple[list[Bubble], str, Visit], place: int) -> None:
    bubbles, zone, visit = situation
    written = [msgspec.structs.replace(one, caption="new") if n == place else one for n, one in enumerate(bubbles)]
    at = bubbles[min(place, len(bubbles) - 1)].at if bubbles else NOON
    new = Bubble(kind="image", id="new", sender="a", at=at, caption="new", ticks="read", why=[])
    before, *after = (albums(shown(given, zone, visit)) for given in (bubbles, written, [*bubbles[:place], new, *bubbles[place:]]))
    for sizes in after:
        assert max(sizes, default=0) <= max(before, default=0)
        assert sum(sizes) <= sum(before)


def albums(blocks: list[Block]) -> list[int]:
    """How many images are in each."""
    return [len(block.items) for block in blocks if isinstance(block, Album)]


@given(situations())
def test_every_block_says_why(situation: tuple[list[Bubble], str, Visit]) -> None:
    for block in shown(*situation):
        assert block.why


def test_time_zones_come_with_the_product() -> None:
    """A slim container has none of its own, and not even UTC is known then."""
    pytest.importorskip("tzdata")
    code = "from zoneinfo import ZoneInfo; print(ZoneInfo('UTC'), ZoneInfo('Asia/Seoul'))"
    environ = {**os.environ, "PYTHONTZPATH": ""}
    assert subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True).stdout == b"UTC Asia/Seoul\n"
