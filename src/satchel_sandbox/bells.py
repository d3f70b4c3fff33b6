"""Waiting without polling: a bell per phone number that rings when something on that phone has changed."""

import asyncio
from weakref import WeakValueDictionary


class Bells:
    """Take `next(number)` first, then look at the rows, then wait for it: no change can slip through in between."""

    def __init__(self) -> None:
        self.silenced = False  # the process ends: nobody should start to wait
        self._next: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    def next(self, number: str) -> asyncio.Event:
        bell = self._next.get(number)
        if bell is None:
            bell = self._next[number] = asyncio.Event()
        return bell

    def ring(self, number: str) -> None:
        if bell := self._next.pop(number, None):
            bell.set()

    def ring_all(self) -> None:
        for number in list(self._next):
            self.ring(number)

    def silence(self) -> None:
        """Wake everybody for good."""
        self.silenced = True
        self.ring_all()
