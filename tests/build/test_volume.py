"""Which folder is this database's volume: decided once, at the first start."""

import pytest

from satchel import build
from satchel.settings import SettingsError

from ..conftest import Place

pytestmark = pytest.mark.anyio


async def test_a_first_start_marks_an_empty_folder(place: Place) -> None:
    async with build.opened(place.settings, "web") as opened:
        assert await opened.ports.volume.present()
    assert {path.name for path in (place.data_dir / "media").iterdir()} == {"shared", "renditions", "parts", ".satchel-volume"}


async def test_a_later_start_does_not_take_an_empty_mount_point_for_the_volume(place: Place) -> None:
    async with build.opened(place.settings, "web"):
        pass
    root = place.data_dir / "media"
    away = root.rename(root.with_name("unmounted"))
    root.mkdir()
    async with build.opened(place.settings, "web") as opened:
        assert not await opened.ports.volume.present()
        assert list(root.iterdir()) == []
        root.rmdir()
        away.rename(root)
        assert await opened.ports.volume.present()


async def test_several_first_starts_agree(place: Place) -> None:
    async with (
        build.opened(place.settings, "web") as one,
        build.opened(place.settings, "core") as two,
        build.opened(place.settings, "web") as three,
    ):
        assert all([await opened.ports.volume.present() for opened in (one, two, three)])
        assert len({one.name, two.name, three.name}) == 3


async def test_a_folder_with_foreign_files_is_refused_at_the_first_start(place: Place) -> None:
    (place.data_dir / "media").mkdir()
    (place.data_dir / "media" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(SettingsError, match="SATCHEL_VOLUME__PATH"):
        async with build.opened(place.settings, "web"):
            pass
    assert [path.name for path in (place.data_dir / "media").iterdir()] == ["holiday.jpg"]
    if place.kind == "sqlite":
        assert [path.name for path in place.data_dir.iterdir()] == ["media"]


async def test_a_new_database_takes_over_a_marked_volume(place: Place) -> None:
    root = place.data_dir / "media"
    for name in ("shared", "renditions", "parts"):
        (root / name).mkdir(parents=True)
    (root / ".satchel-volume").write_text("an-id\n")
    (root / "shared" / "kept").write_bytes(b"x")
    async with build.opened(place.settings, "web") as opened:
        assert await opened.ports.volume.present()
    assert (root / "shared" / "kept").exists()


async def test_an_instance_name_is_free_again_after_its_end_and_not_before(place: Place) -> None:
    names = [build.instance(place.data_dir, "core") for _ in range(2)]
    assert names[0].endswith(".core.0")
    assert names[1].endswith(".core.1")
