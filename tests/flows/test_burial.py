"""With the last media of some bytes goes what was made of them, key included: who counts as one that holds them, and since when."""

import asyncio
import threading

import pytest

from satchel.db import Tx, renditions
from satchel.db import media as rows
from satchel.domain.media import Media, Rendition
from satchel.flows import Ports, media_node, reading

from ..conftest import Place
from .test_retention import handed
from .test_send import upload

pytestmark = pytest.mark.anyio


async def _rendition(ports: Ports, media: Media) -> Rendition | None:
    return await ports.db.read(lambda tx: renditions.by_id(tx, f"r{media.id}document"))


async def test_what_phones_were_sent_stays_while_the_file_of_their_media_is_another(ports: Ports, place: Place) -> None:
    """The bytes may be put back by hand, and then the phones get them."""
    media = await upload(ports, b"sent")
    await handed(ports, media)
    (place.data_dir / "media" / "shared" / media.id).write_bytes(b"another")
    assert (await reading.as_it_lies(ports, media)).sha256 != media.sha256
    twin = await upload(ports, b"sent")
    await media_node.delete(ports, twin.id)
    assert await _rendition(ports, media) is not None
    await media_node.delete(ports, media.id)
    assert await _rendition(ports, media) is None


async def test_whoever_comes_to_hold_bytes_waits_for_a_burial_that_may_find_nobody(ports: Ports) -> None:
    """Else a message of the new media would go out with a key that the burial is about to forget."""
    media = await upload(ports, b"1")
    await handed(ports, media)
    await ports.db.write(lambda tx: rows.hide(tx, media.id))
    looked, go_on = threading.Event(), threading.Event()

    def burial(tx: Tx) -> list[str]:
        files = media_node._buried(tx, [media])
        looked.set()
        assert go_on.wait(10)
        return files

    burying = asyncio.ensure_future(ports.db.write(burial))
    assert await asyncio.to_thread(looked.wait, 10)
    twin = asyncio.ensure_future(upload(ports, b"1"))
    done, _ = await asyncio.wait({twin}, timeout=0.5)
    go_on.set()
    await burying
    await twin
    assert not done
    assert await _rendition(ports, media) is None
