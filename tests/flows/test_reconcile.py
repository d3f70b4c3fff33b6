"""Files and rows that do not fit each other."""

import os
from pathlib import Path

import pytest

from satchel.domain.errors import Later
from satchel.domain.media import Rendition
from satchel.flows import Ports, media_node, prepare, reconcile
from satchel.flows.steps import Timeline

from ..conftest import Place
from .test_send import upload

pytestmark = pytest.mark.anyio


def age(path: Path) -> None:
    os.utime(path, (0, 0))


async def test_a_file_without_a_row_is_told_once_it_is_old_and_never_deleted(ports: Ports, place: Place) -> None:
    shared = place.data_dir / "media" / "shared"
    kept, gone = [(await upload(ports, data)).id for data in (b"one", b"two")]
    await media_node.delete(ports, gone)
    assert await reconcile.report_strays(ports) == 0
    for name in ("0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11", gone):
        (shared / name).write_bytes(b"stray")
    assert await reconcile.report_strays(ports) == 0  # an upload puts its file first: young ones may still get their row
    for path in shared.iterdir():
        age(path)
    assert await reconcile.report_strays(ports) == 2
    assert len(list(shared.iterdir())) == 3
    assert (shared / kept).exists()


async def test_a_rendition_without_a_row_is_swept_once_it_is_old(ports: Ports, place: Place, photo: Path) -> None:
    folder = place.data_dir / "media" / "renditions"
    made = await prepare.ensure(ports, await upload(ports, photo.read_bytes(), "image/jpeg"), "image", Timeline("test"))
    assert isinstance(made, Rendition)
    (folder / "stray").write_bytes(b"x")
    assert await reconcile.sweep_renditions(ports) == 0
    for path in folder.iterdir():
        age(path)
    assert await reconcile.sweep_renditions(ports) == 1
    assert [path.name for path in folder.iterdir()] == [made.file]


async def test_parts_that_nobody_touches_are_swept_and_never_from_a_folder_that_is_not_the_volume(ports: Ports, place: Place) -> None:
    volume = place.data_dir / "media"
    young, old, foreign = [volume / "parts" / name for name in (".a.other.part", ".b.other.part", "notes.txt")]
    for path in (young, old, foreign):
        path.write_bytes(b"x")
    age(old)
    age(foreign)
    marker = (volume / ".satchel-volume").rename(volume / "away")
    with pytest.raises(Later):
        await reconcile.sweep_parts(ports)
    assert old.exists()
    marker.rename(volume / ".satchel-volume")
    assert await reconcile.sweep_parts(ports) == 1
    assert sorted(path.name for path in (volume / "parts").iterdir()) == [young.name, foreign.name]
