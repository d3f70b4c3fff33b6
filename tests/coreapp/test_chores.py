"""Chores that look at the volume."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from satchel import build
from satchel.coreapp import chores
from satchel.coreapp.chores import Chores
from satchel.volume import Space, Volume

from ..conftest import Place

pytestmark = pytest.mark.anyio


class Rigged:
    """The real volume on a disk that fills up and is emptied again: `free`, share by share."""

    def __init__(self, volume: Volume, free: Iterator[float]) -> None:
        self._volume = volume
        self._free = free
        self.over = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._volume, name)

    async def space(self) -> Space:
        real = await self._volume.space()
        share = next(self._free, None)
        if share is None:
            self.over.set()
        return replace(real, free=int(real.total * (1.0 if share is None else share)))


async def test_the_high_water_mark_is_told_when_it_is_crossed_and_not_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "SWEEP", 0.01)
    async with build.opened(place.settings, "core") as opened:
        rigged = Rigged(opened.ports.volume, iter([0.5, 0.1, 0.1, 0.5, 0.5]))
        with capture_logs() as said:
            running = asyncio.create_task(Chores(replace(opened.ports, volume=cast(Volume, rigged)), opened.name).run())
            await rigged.over.wait()
            running.cancel()
            await asyncio.wait({running})
    assert [(line["above"], line["used"], line["log_level"]) for line in said if line["event"] == "volume_high_water"] == [
        (True, "90 %", "warning"),
        (False, "50 %", "info"),
    ]
