"""Webapp and Coreapp with one media volume under two paths, as two containers have it: they share that and the database, nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import Place
from .running import Hook, Node
from .small import bound

PHONE = "12025550111"


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Where Webapp finds the volume, and where Coreapp does."""
    ours = tmp_path / "web" / "wamedia"
    ours.mkdir(parents=True)
    with bound(ours, tmp_path / "core" / "mnt" / "media") as mount:
        yield ours, mount.target


@pytest.fixture
def node(place: Place, paths: tuple[Path, Path]) -> Iterator[Node]:
    node = Node(place)
    try:
        node.start("sandbox")
        node.set(SATCHEL_VOLUME__PATH=str(paths[1]), SATCHEL_VOLUME__TOLD_PATH="/mnt/wa/media")
        node.start("core")
        node.set(SATCHEL_VOLUME__PATH=str(paths[0]))
        node.start("web")
        node.wait_ready()
        yield node
    finally:
        node.stop_all()


def test_p20_what_one_uploads_the_other_sends(node: Node, hook: Hook, paths: tuple[Path, Path], photo: Path) -> None:
    node.set_hook(hook.url)
    document, picture = node.upload(b"over two paths", "text/plain"), node.upload(photo.read_bytes())
    for message in (node.send(PHONE, "document", document), node.send(PHONE, "image", picture)):
        hook.wait(message, "delivered")
    node.phone_until(PHONE, 2)
    first = node.phone(PHONE)[0]["id"]
    assert node.received(PHONE, first) == b"over two paths"
    assert len(list((paths[0] / "renditions").iterdir())) == 1  # Coreapp wrote it at its own path, and here it is
    assert node.call("DELETE", f"/v1/media/{document}").status_code == 200
    assert not (paths[1] / "shared" / document).exists()


def test_p19_the_path_that_is_told_is_the_one_that_the_setting_names(node: Node, paths: tuple[Path, Path]) -> None:
    """Each process has the volume elsewhere, and the business has it at a third place: what it is told leads there."""
    media = node.upload(b"look for me", "text/plain")
    (listed,) = node.call("GET", "/_satchel/v1/media").json()["media"]
    assert listed["file"] == f"/mnt/wa/media/shared/{media}"
    assert (paths[0] / "shared" / media).read_bytes() == b"look for me"
    assert sorted(path.name for path in (paths[1] / "shared").iterdir()) == [media]
