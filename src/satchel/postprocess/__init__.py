"""PORT Transcoder: look into a file and make of it what may go out. Every decode happens in an isolated child process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from satchel.domain.media import Facts, Rendered
from satchel.domain.plans import Plan, Policy, Rules

PIPELINE = 2
"""Raised when the same input would come out as other bytes; part of every rendition's profile."""


@dataclass(frozen=True)
class Config:
    """`max_pixels`: width × height above which a picture is refused before it is decoded.

    `children`: files looked into at once, each in a process that is kept warm. Two for each processor keep it busy: one that is given
    its file, or whose result is taken, does not decode. Half as many recordings are encoded anew at once, which takes a processor each.
    `image` to `video` and `background`: see `Rules`.
    """

    max_pixels: int = 100_000_000
    children: int = 4
    image: Policy = "repair"
    sticker: Policy = "repair"
    audio: Policy = "repair"
    video: Policy = "repair"
    background: str = "#ffffff"

    def __post_init__(self) -> None:
        if self.children < 1 or self.max_pixels < 1:
            raise ValueError("children and max_pixels must be at least 1")
        assert self.rules

    @property
    def converting(self) -> int:
        """Recordings that are encoded anew at once."""
        return (self.children + 1) // 2

    @property
    def rules(self) -> Rules:
        """What to do about files that cannot go out as they are. Raises ValueError for a background that is no colour."""
        return Rules(self.image, self.sticker, self.audio, self.video, self.background)


@dataclass(frozen=True)
class Processed:
    """`rendered`: None where the plan keeps the original. `sha256`: of the bytes that all this is true of, where they were read whole."""

    facts: Facts
    plan: Plan
    rendered: Rendered | None = None
    sha256: str = ""


Decide = Callable[[Facts], Plan]


class Transcoder(Protocol):
    """Looks at files and renders them. All calls are safe to repeat and leave the source untouched.

    Raises `Fault(MEDIA_UNREADABLE)` when the content is broken or costs more time or memory than a child may have, `Later(NOT_READY)`
    when no child can be started or the children are being ended; OSError of opening `path` or writing `into` passes through.
    """

    async def probe(self, path: Path) -> Facts:
        """What lies in the file, decided by content alone; a picture is decoded to its end to prove that it is whole."""

    async def render(self, path: Path, plan: Plan, into: Path) -> Rendered:
        """Carry out a plan that does not keep the original: write what goes out to `into`, which must not exist."""

    async def process(self, path: Path, decide: Decide, into: Path, *, lengthy: bool = False) -> Processed:
        """Both, with one look at the file where that is enough. `decide` says what to do about the facts, in a thread; what it raises
        passes through. `lengthy`: it may take minutes, and is to be in the way of nothing that does not.
        """

    async def close(self) -> None:
        """End the children."""
