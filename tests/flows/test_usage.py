"""What fills the volume."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from satchel import build
from satchel.domain.errors import Later
from satchel.flows import media_node, usage
from satchel.flows.reconcile import SETTLED
from satchel.flows.usage import Kind

from ..conftest import Place

pytestmark = pytest.mark.anyio
SAID = media_node.Upload("text/plain", "admin")


async def body(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def kinds(place: Place) -> dict[str, Kind]:
    async with build.looked_at(place.settings) as looked:
        measured = await usage.measure(looked.db, looked.volume)
        return {kind.name: kind for kind in measured.kinds}


def stray(path: Path, age: float) -> None:
    path.write_bytes(b"stray")
    os.utime(path, (time.time() - age,) * 2)


async def test_kinds_are_counted_by_rows_and_by_the_folder(place: Place) -> None:
    async with build.opened(place.settings, "web") as node:
        for size in (3, 4):
            await media_node.upload(node.ports, body(b"x" * size), SAID)
        gone = await media_node.upload(node.ports, body(b"gone"), SAID)
        await media_node.delete(node.ports, gone.id)
        root = place.settings.volume_path
        stray(root / "shared" / "old", 2 * SETTLED)
        stray(root / "shared" / "young", 0)
        (root / "parts" / ".x.part").write_bytes(b"12")
        found = await kinds(place)
    assert found["uploaded"] == Kind("uploaded", 2, 7, "rows")
    assert found["renditions"] == Kind("renditions", 0, 0, "rows")
    assert found["parts"] == Kind("parts", 1, 2, "folder")
    assert found["strays"] == Kind("strays", 1, 5, "folder")


async def test_a_large_folder_is_not_read_to_its_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with build.opened(place.settings, "web"):
        for number in range(5):
            stray(place.settings.volume_path / "shared" / str(number), 2 * SETTLED)
    monkeypatch.setattr(usage, "LOOKED", 3)
    assert (await kinds(place))["strays"] == Kind("strays", 3, 15, "folder", 3)


async def test_an_empty_mount_point_has_no_figures(place: Place) -> None:
    async with build.opened(place.settings, "web"):
        pass
    (place.settings.volume_path / ".satchel-volume").unlink()
    with pytest.raises(Later, match="mount it"):
        await kinds(place)
