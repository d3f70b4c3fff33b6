"""Chores that look at the volume."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from satchel import build
from satchel.coreapp.chores import Chores

from ..conftest import Place

pytestmark = pytest.mark.anyio


async def test_the_high_water_mark_is_told_when_it_is_crossed_and_not_again(place: Place) -> None:
    async with build.opened(place.settings, "core") as opened:
        ports = opened.ports
        chores = Chores(replace(ports, limits=replace(ports.limits, high_water=0.0)), opened.name)
        with capture_logs() as said:
            await chores._measure()
            await chores._measure()
            chores._ports = replace(ports, limits=replace(ports.limits, high_water=1.0))
            await chores._measure()
    assert [(line["event"], line["above"], line["log_level"]) for line in said] == [
        ("volume_high_water", True, "warning"),
        ("volume_high_water", False, "info"),
    ]
