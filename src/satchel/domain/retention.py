"""The rule by which media are cleaned up, and what it would mean for phones to lose one. Pure; knows no table.

A receipt is no proof of a download, so none counts here: only what a network itself says of its phones does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from satchel.domain.limits import DAY

DIRECTIONS = ("up", "in", "link")
KINDS = ("audio", "document", "image", "sticker", "video")
CLASSES = {
    "A": "everybody has downloaded it",
    "B": "server copy alive, not known to be downloaded by all",
    "C": "server copy expired, not known to be downloaded by all",
    "D": "never sent",
    "E": "received",
}
EFFECTS = {
    "A": "none",
    "B": "none until the copy expires",
    "C": 'may see "unavailable"',
    "D": "none",
    "E": "none; the integration can no longer GET it",
}
HARMLESS = ("A", "B", "D")
"""What a command deletes unless it is told more."""
SHORTEST = DAY
"""Seconds after its last use in which nothing is cleaned up, whatever is asked for."""


@dataclass(frozen=True)
class Rule:
    """`unused_for`: seconds since the last use. `kinds`, `classes`: those that may go; no kinds: any.

    `max_total`: bytes that media of these directions and kinds may take together, 0 for any: above it those not used for longest go.
    `spare_renditions`: bytes of renditions that have not gone out and are kept in case; `hour`: of the host's day, at which gc runs
    where `garbagecollector_enable` says so.
    """

    unused_for: float = field(default=30 * DAY, metadata={"unit": "duration"})
    directions: tuple[str, ...] = field(default=DIRECTIONS, metadata={"unit": "list"})
    kinds: tuple[str, ...] = field(default=(), metadata={"unit": "list"})
    classes: tuple[str, ...] = field(default=tuple(CLASSES), metadata={"unit": "list"})
    max_total: int = field(default=0, metadata={"unit": "bytes"})
    spare_renditions: int = field(default=1 << 30, metadata={"unit": "bytes"})
    hour: int = 3

    def __post_init__(self) -> None:
        if not self.unused_for >= SHORTEST:
            raise ValueError("unused_for must be at least a day, such as 30d: what was used within 24 hours is never cleaned up")
        for name, allowed in (("directions", DIRECTIONS), ("kinds", KINDS), ("classes", tuple(CLASSES))):
            if unknown := set(getattr(self, name)) - set(allowed):
                raise ValueError(f"{name} must be of {', '.join(allowed)}, not {sorted(unknown)[0]!r:.40}")
        if self.max_total < 0 or self.spare_renditions < 0:
            raise ValueError("max_total and spare_renditions must not be negative")
        if not 0 <= self.hour <= 23:
            raise ValueError("hour must be from 0 to 23")


@dataclass(frozen=True)
class Sent:
    """One message that the network took with a media. `copy_alive`: whether the server still has what the phone would fetch."""

    copy_alive: bool
    downloaded: bool


def risk(direction: str, sent: Sequence[Sent]) -> str:
    """The class of a media. What is not known to be downloaded counts as not downloaded."""
    if direction == "in":
        return "E"
    if not sent:
        return "D"
    lacking = [one for one in sent if not one.downloaded]
    if not lacking:
        return "A"
    return "B" if all(one.copy_alive for one in lacking) else "C"
