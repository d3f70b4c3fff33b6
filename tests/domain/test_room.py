"""The marks between room and none, and what is said of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain.room import LEVELS, SLACK, STOPS, Level, kept, level, remedy, sentence, told
from satchel.volume import Space

GIB = 1 << 30


def space(free: int, total: int = 1000, inodes_free: int = 0, inodes: int = 0) -> Space:
    return Space(total, free, inodes, inodes_free)


@pytest.mark.parametrize(
    ("free", "found", "said"),
    [
        (500, "ok", ""),
        (150, "ok", ""),
        (149, "high_water", "above the high-water mark of 85 %; delete"),
        (30, "high_water", "above"),
        (29, "uploads_refused", "uploads are refused; delete"),
        (15, "uploads_refused", "uploads are refused"),
        (14, "full", "full: uploads are refused, and all that needs room waits; delete"),
        (0, "full", "full"),
    ],
)
def test_p17_a_volume_passes_three_marks_on_its_way_to_full(free: int, found: Level, said: str) -> None:
    assert level(space(free), 0.85) == found
    assert sentence(space(free), 0.85).startswith(said)
    assert bool(said) is bool(sentence(space(free), 0.85))


def test_p17_inodes_count_like_bytes() -> None:
    assert level(space(900, inodes=1000, inodes_free=14), 0.85) == "full"
    assert level(space(900, inodes=1000, inodes_free=29), 0.85) == "uploads_refused"
    assert level(space(900, inodes=1000, inodes_free=140), 0.85) == "high_water"
    assert "99 % full (10 of 1000 inodes free)" in told(space(900, inodes=1000, inodes_free=10))


def test_p17_a_volume_that_cannot_be_written_to_is_read_only_however_full() -> None:
    assert level(replace(space(999), writable=False), 0.85) == "read_only"
    assert "mount it for writing" in sentence(replace(space(999), writable=False), 0.85)


def test_the_reserve_is_a_share_and_at_most_a_gibibyte() -> None:
    assert kept(space(0, 10 * GIB), urgent=False)[0] == int(10 * GIB * 0.03)
    assert kept(space(0, 1000 * GIB), urgent=False)[0] == GIB
    assert kept(space(0, 1000 * GIB), urgent=True)[0] == GIB // 2


@given(st.integers(0, 1000), st.sampled_from(LEVELS))
def test_a_level_is_reached_at_once_and_left_with_some_room_to_spare(free: int, before: Level) -> None:
    now, fresh = level(space(free), 0.85, before), level(space(free), 0.85)
    if before in {"ok", "read_only", "missing"}:
        assert now == fresh
    assert LEVELS.index(now) >= LEVELS.index(fresh)
    assert LEVELS.index(now) <= max(LEVELS.index(before), LEVELS.index(fresh))
    slack = kept(space(0), urgent=False)[0] // SLACK
    if now != fresh:
        assert level(space(free - slack), 0.85) == now or free < slack


def test_every_level_says_what_stops_and_what_to_do() -> None:
    assert set(STOPS) == set(LEVELS)
    assert all(remedy(one) for one in LEVELS)
    assert told(space(250)) == "75 % full (250 bytes of 1000 bytes free)"
