"""How much room the media volume has, in one word: the marks between room and none, and what stops at each."""

from typing import Literal, Protocol, get_args

from satchel.domain.limits import reserve, reserve_inodes
from satchel.domain.quantities import shown_share, shown_size

Level = Literal["ok", "high_water", "uploads_refused", "full", "read_only", "missing"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From all is well to nothing goes."""
REFUSING = LEVELS.index("uploads_refused")
SHORT: frozenset[Level] = frozenset({"high_water", "uploads_refused", "full"})
"""Levels at which removing files helps."""
STOPS: dict[Level, str] = {
    "ok": "",
    "high_water": "nothing stops yet",
    "uploads_refused": "uploads are refused",
    "full": "uploads are refused; links, what is received and what has to be made of files wait for room",
    "read_only": "uploads are refused; links, what is received and what has to be made of files wait until it can be written to",
    "missing": "uploads and downloads answer 503, and messages that need a file wait",
}
REMEDY = "delete media that is no longer needed, or enlarge the volume"
REMEDIES: dict[Level, str] = {"read_only": "mount it for writing", "missing": "mount it"}
SLACK = 10
"""A level is left once there is this part of the reserve to spare, so that it is not crossed to and fro."""


class Sized(Protocol):
    """A file system: bytes and inodes, those we may use, and whether it takes any."""

    @property
    def total(self) -> int: ...
    @property
    def free(self) -> int: ...
    @property
    def inodes(self) -> int: ...
    @property
    def inodes_free(self) -> int: ...
    @property
    def writable(self) -> bool: ...


def level(space: Sized, high_water: float, before: Level = "ok") -> Level:
    """`high_water`: the share above which we warn; `before`: the level that was said last."""
    if not space.writable:
        return "read_only"
    now = _level(space, high_water)
    if LEVELS.index(before) <= LEVELS.index(now) or before not in SHORT:
        return now
    return min(before, _level(space, high_water, spare=True), key=LEVELS.index)


def sentence(space: Sized, high_water: float) -> str:
    """What is to be said of the room on a volume; nothing while there is enough."""
    found = level(space, high_water)
    return _SAID[found].format(mark=shown_share(high_water)) + remedy(found) if found != "ok" else ""


def remedy(found: Level) -> str:
    """What to do about a level."""
    return REMEDIES.get(found, REMEDY)


def told(space: Sized) -> str:
    """How full it is: `97 % full (1.2 GiB of 40 GiB free)`, with the inodes where those are scarcer."""
    used = 1 - space.free / max(1, space.total)
    used_inodes = 1 - space.inodes_free / space.inodes if space.inodes else 0.0
    if used_inodes > used:
        return f"{shown_share(used_inodes)} full ({space.inodes_free} of {space.inodes} inodes free)"
    return f"{shown_share(used)} full ({shown_size(space.free)} of {shown_size(space.total)} free)"


def kept(space: Sized, urgent: bool) -> tuple[int, int]:
    """Bytes and inodes that stay free: by uploads the whole reserve, by what is `urgent` half of it."""
    part = 2 if urgent else 1
    return reserve(space.total) // part, reserve_inodes(space.inodes) // part


_SAID: dict[Level, str] = {
    "high_water": "above the high-water mark of {mark}; ",
    "uploads_refused": "uploads are refused; ",
    "full": "full: uploads are refused, and all that needs room waits; ",
    "read_only": "read-only: uploads are refused, and all that needs room waits; ",
}


def _level(space: Sized, high_water: float, spare: bool = False) -> Level:
    marks: tuple[tuple[Level, bool], ...] = (("full", True), ("uploads_refused", False))
    for name, urgent in marks:
        if _below(space, kept(space, urgent), spare):
            return name
    bytes_, inodes = int((1 - high_water) * space.total), int((1 - high_water) * space.inodes)
    return "high_water" if _below(space, (bytes_, inodes), spare) else "ok"


def _below(space: Sized, least: tuple[int, int], spare: bool) -> bool:
    """Whether less than that is free; a file system that counts no inodes never lacks them."""
    bytes_, inodes = kept(space, False) if spare else (0, 0)
    few = bool(space.inodes) and space.inodes_free < least[1] + inodes // SLACK
    return space.free < least[0] + bytes_ // SLACK or few
