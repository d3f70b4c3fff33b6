"""The composer: which blocks a conversation is shown as, and why. A pure function; it knows no rows, no clock and no drawing.

A run is consecutive images of one sender without a caption. What ends it: any other message, an image with a caption, the unread
divider, a date header, and what arrived while the chat was open. A run of ALBUM images or more is an album.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby

from msgspec.structs import replace

from .blocks import Album, Block, Bubble, Date, Unread

ALBUM = 4
"""So many images in a row are an album."""
CELLS = 4
"""An album's grid has so many cells; when it has more images, the last cell stands for the rest."""

Piece = Bubble | Date | Unread


@dataclass(frozen=True)
class Visit:
    """How a chat is looked at. `divider_at`: the id of the first message that was unread, `unread`: how many were; `horizon`: the id of the
    newest message when the chat was opened, None: there was none. What lies beyond the horizon of an `open` chat arrived during the visit.
    """

    open: bool = False
    divider_at: str | None = None
    unread: int = 0
    horizon: str | None = None


def compose(bubbles: Sequence[Bubble], zone: tzinfo, visit: Visit) -> list[Block]:
    """Every bubble once and in its order, with date headers, the unread divider and albums."""
    fresh = _fresh(bubbles, visit)

    def run_of(placed: tuple[int, Piece]) -> object:
        """Equal for neighbours that are one run."""
        place, piece = placed
        return piece.sender if isinstance(piece, Bubble) and _joins(piece, fresh) else place

    runs = [[piece for _, piece in run] for _, run in groupby(enumerate(_pieces(bubbles, zone, visit)), run_of)]
    between = zip([[], *runs], runs, [*runs[1:], []], strict=False)
    return [block for before, run, after in between for block in _blocks(run, before, after, fresh)]


def _fresh(bubbles: Sequence[Bubble], visit: Visit) -> frozenset[str]:
    """The ids beyond the horizon."""
    ids = [bubble.id for bubble in bubbles]
    seen = ids.index(visit.horizon) + 1 if visit.horizon in ids else 0
    return frozenset(ids[seen:] if visit.open else ())


def _pieces(bubbles: Sequence[Bubble], zone: tzinfo, visit: Visit) -> Iterator[Piece]:
    """The bubbles with what stands between them."""
    day = ""
    for bubble in bubbles:
        if (date := datetime.fromisoformat(bubble.at).astimezone(zone).date().isoformat()) != day:
            yield Date(date=date, why=[f"{bubble.id} is the first of this day in {zone}"])
        if bubble.id == visit.divider_at:
            yield Unread(count=visit.unread, why=[f"{bubble.id} was the first unread message when the chat was opened"])
        day = date
        yield bubble


def _joins(bubble: Bubble, fresh: frozenset[str]) -> bool:
    return bubble.kind == "image" and bubble.caption is None and bubble.id not in fresh


def _blocks(run: list[Piece], before: list[Piece], after: list[Piece], fresh: frozenset[str]) -> list[Block]:
    images = [piece for piece in run if isinstance(piece, Bubble) and _joins(piece, fresh)]
    if not images:
        return [_alone(piece, fresh) for piece in run]
    ends = [
        *([f"begins after {_wall(before[-1], images[0], fresh)}"] if before else []),
        *([f"ends before {_wall(after[0], images[0], fresh)}"] if after else []),
    ]
    if len(images) < ALBUM:
        return [replace(image, why=[*image.why, f"run of {len(images)}: an album needs {ALBUM}", *ends]) for image in images]
    more = len(images) - CELLS + 1 if len(images) > CELLS else 0
    return [Album(items=images, more=more, why=[f"run of {len(images)}", *ends])]


def _alone(piece: Piece, fresh: frozenset[str]) -> Block:
    """A piece that can be in no run, with the reason."""
    if not isinstance(piece, Bubble):
        return piece
    reasons = [] if piece.kind == "image" else [f"is of kind {piece.kind}"]
    if piece.kind == "image" and piece.caption is not None:
        reasons.append("has a caption")
    if piece.id in fresh:
        reasons.append("arrived while the chat was open")
    return replace(piece, why=[*piece.why, f"no part of an album: {' and '.join(reasons)}"])


def _wall(piece: Piece, image: Bubble, fresh: frozenset[str]) -> str:
    """What ends a run of images like `image`, in words."""
    if isinstance(piece, Date):
        return f"the date header {piece.date}"
    if isinstance(piece, Unread):
        return "the unread divider"
    if piece.kind != "image":
        return f"{piece.id}, of kind {piece.kind}"
    if piece.caption is not None:
        return f"{piece.id}, which has a caption"
    if piece.id in fresh:
        return f"{piece.id}, which arrived while the chat was open"
    return f"{piece.id}, which {piece.sender} sent"
