"""Received media at the door: nobody's before it is there, the sender's type afterwards, and asked for once more."""

from typing import Any

import pytest

from satchel.db import Tx, remotes, settings
from satchel.db.remotes import Remote
from satchel.domain.media import Media
from satchel.flows.media_node import key_of

from .conftest import Door

pytestmark = pytest.mark.anyio
ID = "6f1d2c3b-4a59-4877-9695-a4b3c2d1e0ff"
SHA = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


async def offered(door: Door, mime: str = "audio/ogg; codecs=opus") -> None:
    def run(tx: Tx) -> None:
        remotes.add(tx, Remote(ID, "ABEGm", "12025550111", "voice", 5, '{"media_key": "secret"}'), mime, SHA, settings.network_now(tx))

    await door.ports.db.write(run)


async def body() -> Any:
    yield b"hello"


async def arrived(door: Door, mime: str = "audio/ogg; codecs=opus") -> None:
    await offered(door, mime)
    stored = await door.ports.volume.put(key_of(ID), body(), 5)
    await door.ports.db.write(lambda tx: remotes.arrived(tx, Media(ID, mime, stored.size, stored.sha256, stored.stamp)))


async def waiting(door: Door) -> int:
    found = await door.ports.db.read(lambda tx: tx.one("SELECT count(*) FROM download WHERE state = 'waiting'"))
    assert found is not None
    return int(found[0])


async def test_p03_received_media_has_its_senders_type(fresh: Door) -> None:
    await arrived(fresh)
    got = await fresh.http.get(f"/v1/media/{ID}")
    assert (got.status_code, got.headers["content-type"], got.content) == (200, "audio/ogg; codecs=opus", b"hello")
    assert (await fresh.http.delete(f"/v1/media/{ID}")).status_code == 200
    assert (await fresh.http.get(f"/v1/media/{ID}")).status_code == 404
    assert fresh.files("shared") == []


async def test_media_that_is_not_there_is_404_and_can_be_deleted_and_asked_for(fresh: Door) -> None:
    await offered(fresh)
    assert (await fresh.http.get(f"/v1/media/{ID}")).status_code == 404
    for _ in range(2):
        answer = await fresh.http.get(f"/v1/media/{ID}/download")
        assert (answer.status_code, answer.json()["media_items"]) == (200, [{"id": ID}])
    assert await waiting(fresh) == 1
    assert (await fresh.http.delete(f"/v1/media/{ID}")).status_code == 200
    assert (await fresh.http.get(f"/v1/media/{ID}/download")).status_code == 404


async def test_c06_a_download_is_asked_for_with_slashes_too_many_and_not_by_a_head(fresh: Door) -> None:
    await offered(fresh)
    assert (await fresh.http.head(f"/v1/media/{ID}/download")).status_code == 200
    assert await waiting(fresh) == 0
    assert (await fresh.http.get(f"/v1/media//{ID}/download/")).status_code == 200
    assert await waiting(fresh) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_other_methods_are_refused(fresh: Door, method: str) -> None:
    assert (await fresh.http.request(method, f"/v1/media/{ID}/download")).status_code == 405


async def test_lists_show_it_and_no_key(fresh: Door) -> None:
    await offered(fresh)
    answer = await fresh.http.get("/_satchel/v1/media?direction=in")
    (one,) = answer.json()["media"]
    assert (one["id"], one["state"], one["mime"], one["direction"]) == (ID, "undownloaded", "audio/ogg; codecs=opus", "in")
    assert "secret" not in answer.text + (await fresh.http.get(f"/_satchel/v1/media/{ID}")).text


async def test_what_was_not_fetched_cannot_be_sent(fresh: Door) -> None:
    await offered(fresh)
    answer = await fresh.send({"to": "12025550111", "type": "audio", "audio": {"id": ID}})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 1006)
