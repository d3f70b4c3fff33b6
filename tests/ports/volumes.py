"""What the suites of the port Volume share; what a disk may do to an engine is done by a small one of its own."""

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from satchel.domain.errors import VOLUME_MISSING, Fault, Later, Situation
from satchel.volume import Volume
from satchel.volume.folder import Folder

KEY = "shared/0b5c"
INSTANCE = "host.0badcafe.web.0"


async def blocks(*given: bytes) -> AsyncIterator[bytes]:
    for block in given:
        yield block


async def content(volume: Volume, key: str = KEY) -> bytes:
    with contextlib.closing(await volume.open(key)) as opened:
        found = b"".join([block async for block in opened.blocks()])
        assert len(found) == opened.size
        return found


@contextlib.asynccontextmanager
async def refused(situation: Situation) -> AsyncIterator[None]:
    with pytest.raises(Fault) as caught:
        yield
    assert caught.value.situation is situation


@contextlib.asynccontextmanager
async def put_off() -> AsyncIterator[None]:
    with pytest.raises(Later) as caught:
        yield
    assert caught.value.situation is VOLUME_MISSING


def parts(root: Path) -> list[Path]:
    return list((root / "parts").iterdir())


def published(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "shared").iterdir())


def unmounted(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    root.mkdir()


@contextlib.contextmanager
def mounted(root: Path, options: str = "size=4m") -> Iterator[None]:
    """A file system of 4 MiB at `root`."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    root.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount refused: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def make_read_only(root: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True, capture_output=True)


@contextlib.contextmanager
def settled_in(root: Path, options: str = "size=4m") -> Iterator[Folder]:
    with mounted(root, options):
        volume = Folder(root, INSTANCE)
        volume.settle_in("known", first=True)
        yield volume


async def unread() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""
