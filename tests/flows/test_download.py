"""Received media that the business asks for once more: fetched beside what else comes, and told of in `media_items`."""

import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from satchel.coreapp.kinds import Downloads, Inbound
from satchel.db import downloads, settings
from satchel.db import inbound as inbound_rows
from satchel.domain.errors import Fault
from satchel.domain.incoming import Incoming
from satchel.domain.messages import Outgoing
from satchel.flows import LeaseLost, Ports, download, fetch, inbound, media_node, send
from satchel.upstream.sandbox import retry

from ..conftest import Place
from .lanes import due
from .phones import AT, PHONE, MediaServer, answered, post, with_media
from .received import KEY, files, hurry, node, server, told, work

__all__ = ["node", "server"]
pytestmark = pytest.mark.anyio


@pytest.fixture
async def undownloaded(node: Ports, server: MediaServer) -> AsyncIterator[str]:
    """The id of media that was told of and not fetched."""
    await node.db.write(lambda tx: settings.put(tx, settings.APPLICATION, {"media": {"auto_download": []}}))
    await post(node, with_media(server, "m", media={"mime_type": "image/png"}))
    await work(node)
    yield (await told(node))[0]["messages"][0]["image"]["id"]


async def items(ports: Ports) -> list[dict[str, Any]]:
    """What `media_items` said, without what the message said."""
    return [item for body in (await told(ports))[1:] for item in body["media_items"]]


async def test_a_download_brings_the_file_and_says_so(place: Place, node: Ports, undownloaded: str) -> None:
    await download.ask(node, undownloaded)
    await work(node, "get")
    (item,) = await items(node)
    sha256 = (await told(node))[0]["messages"][0]["image"]["sha256"]
    assert item == {"type": "image", "image": {"id": undownloaded, "mime_type": "image/png", "sha256": sha256, "status": "downloaded"}}
    assert (place.data_dir / "media" / "shared" / undownloaded).read_bytes() == b"a photo"


async def test_asking_again_while_it_is_under_way_changes_nothing_and_later_it_tells_again(
    node: Ports, server: MediaServer, undownloaded: str
) -> None:
    for _ in range(3):
        await download.ask(node, undownloaded)
    await work(node, "get")
    assert (len(await items(node)), len(server.gets)) == (1, 1)
    await download.ask(node, undownloaded)
    await work(node, "get")
    assert (len(await items(node)), len(server.gets)) == (2, 1)  # it is there: nothing is fetched


async def test_p18_a_file_that_was_removed_by_hand_is_fetched_once_more(place: Place, node: Ports, undownloaded: str) -> None:
    await download.ask(node, undownloaded)
    await work(node, "get")
    file = Path(place.data_dir / "media" / "shared" / undownloaded)
    file.unlink()
    await download.ask(node, undownloaded)
    await work(node, "get")
    assert file.read_bytes() == b"a photo"


async def test_what_cannot_be_had_is_told_with_errors(place: Place, node: Ports, server: MediaServer, undownloaded: str) -> None:
    (path,) = server.blobs
    server.blobs[path] = server.blobs[path][:-1] + b"\0"
    await download.ask(node, undownloaded)
    await work(node, "get")
    (item,) = await items(node)
    assert (item["image"]["status"], item["errors"][0]["code"], item["errors"][0]["title"]) == ("undownloaded", 400, "Media download error")
    assert files(place) == []


async def test_each_download_may_ask_the_senders_phone(node: Ports, server: MediaServer, undownloaded: str) -> None:
    blobs, server.blobs = dict(server.blobs), {}
    for tries in (1, 2):
        await download.ask(node, undownloaded)
        await work(node, "get")
        assert len(server.asked) == tries
        await post(node, answered("m", error=2))
        await work(node, "get")
    (blob,) = blobs.values()
    server.blobs["/v/again"] = blob
    await download.ask(node, undownloaded)
    await work(node, "get")
    sealed = retry.seal_answer(KEY, "m", retry.Answer(retry.Result.SUCCESS, "/v/again"))
    await post(node, answered("m", enc_p=sealed.enc_p, enc_iv=sealed.enc_iv))
    await work(node, "get")
    assert [item["image"]["status"] for item in await items(node)] == ["undownloaded", "undownloaded", "downloaded"]


async def test_an_answer_that_comes_late_serves_the_next_download(
    node: Ports, server: MediaServer, undownloaded: str, monkeypatch: Any
) -> None:
    blobs, server.blobs = dict(server.blobs), {}
    monkeypatch.setattr(fetch, "WAIT_FOR_SENDER", 0.0)
    await download.ask(node, undownloaded)
    await work(node, "get")
    await hurry(node)
    await work(node, "get")
    assert (await items(node))[0]["image"]["status"] == "undownloaded"
    (server.blobs["/v/again"],) = blobs.values()
    sealed = retry.seal_answer(KEY, "m", retry.Answer(retry.Result.SUCCESS, "/v/again"))
    await post(node, answered("m", enc_p=sealed.enc_p, enc_iv=sealed.enc_iv))
    await download.ask(node, undownloaded)
    await work(node, "get")
    assert ((await items(node))[1]["image"]["status"], len(server.asked)) == ("downloaded", 1)


async def test_only_received_media_can_be_asked_for(node: Ports, undownloaded: str) -> None:
    from .test_send import body_of

    ours = await media_node.upload(node, body_of(b"x"), media_node.Upload("text/plain", "admin"))
    await media_node.delete(node, undownloaded)
    for wrong in (ours.id, undownloaded, "nonsense", "0" * 36):
        with pytest.raises(Fault, match="leads to no received media"):
            await download.ask(node, wrong)


async def test_one_deleted_while_it_comes_leaves_no_file(place: Place, node: Ports, server: MediaServer, undownloaded: str) -> None:
    await download.ask(node, undownloaded)
    server.meanwhile = partial(media_node.delete, node, undownloaded)
    lane = await due(node, "get")
    await lane.run()
    assert files(place) == [undownloaded]
    await Downloads(node).after(lane.item)  # type: ignore[arg-type]
    assert (await items(node), files(place)) == ([], [])


async def test_one_deleted_while_it_is_under_way_is_told_of_to_nobody(place: Place, node: Ports, undownloaded: str) -> None:
    await download.ask(node, undownloaded)
    await media_node.delete(node, undownloaded)
    await work(node, "get")
    assert (await items(node), files(place)) == ([], [])


async def test_a_file_with_other_bytes_than_its_row_says_is_fetched_once_more(place: Place, node: Ports, undownloaded: str) -> None:
    await download.ask(node, undownloaded)
    await work(node, "get")
    file = Path(place.data_dir / "media" / "shared" / undownloaded)
    file.write_bytes(b"a ph")
    await download.ask(node, undownloaded)
    await work(node, "get")
    assert file.read_bytes() == b"a photo"


async def test_a_file_that_was_only_touched_is_not_fetched_once_more(
    place: Place, node: Ports, server: MediaServer, undownloaded: str
) -> None:
    await download.ask(node, undownloaded)
    await work(node, "get")
    os.utime(place.data_dir / "media" / "shared" / undownloaded, (1, 1))
    await download.ask(node, undownloaded)
    await work(node, "get")
    assert ([item["image"]["status"] for item in await items(node)], len(server.gets)) == (["downloaded"] * 2, 1)


class Lost:
    """A lease that somebody else has as soon as the bytes have begun to come."""

    is_lost = False

    def check(self) -> None:
        if self.is_lost:
            raise LeaseLost("get:1")

    async def lose(self) -> None:
        self.is_lost = True


@pytest.mark.parametrize("size", [7, 600_000])
async def test_bytes_that_come_after_the_lease_was_lost_get_no_name(place: Place, node: Ports, server: MediaServer, size: int) -> None:
    lease = Lost()
    server.meanwhile = lease.lose
    await post(node, with_media(server, "m", data=bytes(size)))
    lane = await due(node, "in")
    with pytest.raises(LeaseLost):
        await Inbound(node).work(lane.item, lease)  # type: ignore[arg-type]
    assert files(place) == []


@pytest.mark.parametrize("kind", ["in", "get"])
async def test_what_was_deleted_before_its_bytes_got_their_name_leaves_no_file(
    place: Place, node: Ports, undownloaded: str, kind: str
) -> None:
    await media_node.delete(node, undownloaded)
    file = Path(place.data_dir / "media" / "shared" / undownloaded)
    file.write_bytes(b"came late")
    if kind == "in":
        await inbound.bury(node, inbound_rows.Waiting("m", Incoming("m", PHONE, "", AT, "image"), undownloaded, 0, 0.0))
    else:
        await download.bury(node, downloads.Waiting("1", undownloaded, PHONE, 0, 0.0))
    assert not file.exists()


async def test_a_deleted_one_keeps_its_bytes_for_an_accepted_message_though_a_download_was_asked_for(
    place: Place, node: Ports, undownloaded: str
) -> None:
    await download.ask(node, undownloaded)
    await work(node, "get")
    await send.accept(node, Outgoing("12025550123", "document", undownloaded))
    await download.ask(node, undownloaded)
    await media_node.delete(node, undownloaded)
    lane = await due(node, "get")
    await lane.run()
    await Downloads(node).after(lane.item)  # type: ignore[arg-type]
    assert files(place) == [undownloaded]
