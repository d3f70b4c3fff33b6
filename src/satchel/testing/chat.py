"""A chat that is open on a phone, compared with what a test expects to see."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from satchel.testing.report import chat_differs

if TYPE_CHECKING:
    from satchel.testing.phones import Phone
    from satchel.testing.world import World

Wanted = str | tuple[str, int | str]
"""A block: its kind, or with it how many (album, unread), which day (date), or what stands there (text, caption or label)."""
LOOK = 0.02
SAYS = {"unread": ("count",), "date": ("date",)}
"""Which members of a block a test may name beside its kind."""


class Chat:
    """What one sees between `open` and `leave`."""

    def __init__(self, world: "World", phone: "Phone") -> None:
        self._world, self._phone = world, phone

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """From top to bottom; see the reference of blocks."""
        return self._phone.blocks

    def expect(self, wanted: Sequence[Wanted], timeout: float = 2.0) -> None:
        """These blocks and no others, within `timeout` seconds. Raises `WaitedInVain`, which draws the chat and says why it is so."""
        __tracebackhide__ = True
        until = time.monotonic() + timeout
        while not fits(wanted, shown := self.blocks):
            if time.monotonic() >= until:
                raise chat_differs(self._world, self._phone.number, wanted, shown)
            time.sleep(LOOK)


def fits(wanted: Sequence[Wanted], shown: Sequence[dict[str, Any]]) -> bool:
    """Whether they are the same, block by block."""
    return len(wanted) == len(shown) and all(_fits(one, block) for one, block in zip(wanted, shown, strict=True))


def _fits(wanted: Wanted, block: dict[str, Any]) -> bool:
    if isinstance(wanted, str):
        return bool(block["kind"] == wanted)
    kind, what = wanted
    if block["kind"] != kind:
        return False
    if kind == "album":
        return len(block["items"]) == what
    return what in [block.get(name) for name in SAYS.get(kind, ("text", "caption", "label"))]
