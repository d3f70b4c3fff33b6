"""Chores: what they say of the volume and of an upstream that does not have them."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from satchel import build
from satchel.coreapp import chores
from satchel.coreapp.chores import Chores
from satchel.db import Tx, renditions
from satchel.domain.errors import Later
from satchel.domain.media import Facts, Rendition
from satchel.upstream import State, Upstream
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


async def test_p17_a_mark_is_told_when_it_is_crossed_and_not_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "MEASURE", 0.01)
    async with build.opened(place.settings, "core") as opened:
        rigged = Rigged(opened.ports.volume, iter([0.5, 0.1, 0.1, 0.0, 0.0, 0.5, 0.5]))
        with capture_logs() as said:
            running = asyncio.create_task(Chores(replace(opened.ports, volume=cast(Volume, rigged)), opened.name).run())
            await rigged.over.wait()
            running.cancel()
            await asyncio.wait({running})
    assert [(line["room"], line["details"].split(" (")[0], line["log_level"]) for line in said if line["event"] == "volume_level"] == [
        ("high_water", "The media volume is 90 % full", "warning"),
        ("full", "The media volume is 100 % full", "warning"),
        ("ok", "The media volume is 50 % full", "info"),
    ]


async def test_above_the_high_water_mark_what_nobody_was_sent_goes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "MEASURE", 0.01)
    folder = place.data_dir / "media" / "renditions"
    async with build.opened(place.settings, "core") as opened:
        for name, hours in (("old", 2), ("new", 0)):
            made = Rendition(name, name, "image", "p", name, "image/jpeg", 100, name, os.urandom(32))
            await opened.ports.db.write(partial(renditions.add, made=made, facts=Facts("jpeg", "image/jpeg")))
            await opened.ports.db.write(partial(_aged, name=name, hours=hours))
            (folder / name).write_bytes(b"x")
        for shares, left in (([0.5, 0.5], ["new", "old"]), ([0.1, 0.1], ["new"])):
            rigged = Rigged(opened.ports.volume, iter(shares))
            running = asyncio.create_task(Chores(replace(opened.ports, volume=cast(Volume, rigged)), opened.name).run())
            await rigged.over.wait()
            running.cancel()
            await asyncio.wait({running})
            assert sorted(path.name for path in folder.iterdir()) == left


def _aged(tx: Tx, name: str, hours: int) -> None:
    tx.run("UPDATE rendition SET spare_at = spare_at - :seconds WHERE id = :id", seconds=hours * 3601.0, id=name)


class Refusing:
    """The real upstream, at whose address nobody listens; `refusals` times asked in vain, it answers twice."""

    def __init__(self, upstream: Upstream, refusals: int) -> None:
        self._upstream = upstream
        self._refusals = refusals
        self.over = asyncio.Event()
        self._answers = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upstream, name)

    async def state(self) -> State:
        if self._refusals:
            self._refusals -= 1
            return await self._upstream.state()
        self._answers += 1
        if self._answers == 2:
            self.over.set()
        return State("world", 0.0)


async def test_why_a_chore_is_put_off_is_said_once_and_that_it_goes_on_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(chores, "FOLLOW", 0.01)
    async with build.opened(place.settings, "core") as opened:
        with pytest.raises(Later) as reason:
            await opened.ports.upstream.state()
        refusing = Refusing(opened.ports.upstream, 4)
        with capture_logs() as said:
            running = asyncio.create_task(Chores(replace(opened.ports, upstream=cast(Upstream, refusing)), opened.name).run())
            await refusing.over.wait()
            running.cancel()
            await asyncio.wait({running})
    assert [(line["event"], line.get("details")) for line in said if line.get("chore") == "follow"] == [
        ("chore_put_off", reason.value.details),
        ("chore_goes_on", None),
    ]
