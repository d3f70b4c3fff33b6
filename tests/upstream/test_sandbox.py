"""The adapter against the simulated network itself, over loopback HTTP."""

import asyncio
import hashlib
import os
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pytest
from aiohttp import web

from satchel.domain.errors import (
    MEDIA_CHANGED,
    MESSAGE_UNKNOWN,
    UPSTREAM_DOWN,
    UPSTREAM_REFUSED,
    VOLUME_FULL,
    WORLD_RESET,
    Fault,
    Later,
)
from satchel.domain.media import Rendition
from satchel.domain.messages import Outgoing
from satchel.upstream import Config, Copy, Envelope, Placed, StaleCopy, Unrenewed
from satchel.upstream.sandbox import IN_MEMORY, Sandbox, retry, wire
from satchel.volume.folder import Folder
from satchel.volume.reading import open_plain

from ..sandbox import running as network
from ..sandbox.node import listening
from ..sandbox.running import BUSINESS, PHONE, SECRET, running

pytestmark = pytest.mark.anyio
MEBIBYTE = 1 << 20


@dataclass
class Desk:
    """An adapter, the network it talks to, and how often it asked for a spool."""

    upstream: Sandbox
    network: network.Sandbox
    folder: Path
    vault: Path
    spooled: list[BinaryIO] = field(default_factory=list)

    def rendition(self, plain: bytes, media_type: str = "document", key: bytes = bytes(range(32))) -> tuple[Rendition, Path]:
        sha256 = hashlib.sha256(plain).hexdigest()
        path = self.folder / sha256
        path.write_bytes(plain)
        return Rendition("r", sha256, media_type, "p", None, "application/pdf", len(plain), sha256, key), path

    async def world(self) -> str:
        return (await self.upstream.state()).world

    async def uploads(self) -> int:
        """Encrypted blobs that the network has taken in."""
        return len(list(self.vault.rglob("*.enc")))


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's own folder."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="module")
async def shared_network(vault: Path) -> AsyncIterator[network.Sandbox]:
    async with listening() as node, running(node.url, vault) as sandbox:
        yield sandbox


@pytest.fixture
async def desk(shared_network: network.Sandbox, tmp_path: Path, vault: Path) -> AsyncIterator[Desk]:
    """An adapter before a network that has just forgotten everything."""
    status, _ = await shared_network.call("POST", "/sandbox/reset")
    assert status == 200
    async with opened(shared_network, tmp_path, vault) as desk:
        yield desk


@asynccontextmanager
async def opened(sandbox: network.Sandbox, tmp_path: Path, vault: Path, secret: str = SECRET) -> AsyncIterator[Desk]:
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    volume = Folder(tmp_path / "media", "host.web.0")
    volume.settle_in("known", first=True)
    spooled: list[BinaryIO] = []

    def spool(size: int) -> BinaryIO:
        spooled.append(volume.spool(size))
        return spooled[-1]

    upstream = Sandbox(Config(url=sandbox.url, secret=secret, number=BUSINESS), spool, open_plain)
    try:
        yield Desk(upstream, sandbox, folder, vault, spooled)
    finally:
        await upstream.close()


def envelope(rendition: Rendition, copy: Copy, message: str = "m1", world: str | None = None) -> Envelope:
    outgoing = Outgoing(PHONE, rendition.media_type, "m", "A caption", "a.pdf")
    return Envelope(message, world, outgoing, Placed(rendition.mime, rendition, copy))


async def on_phone(desk: Desk, message: str) -> bytes:
    status, _, got = await desk.network.bytes(f"/sandbox/phones/{PHONE}/messages/{message}/media")
    assert status == 200, got
    return got


# What arrives


@pytest.mark.parametrize("media_type", ["image", "document", "video", "audio", "sticker"])
async def test_what_was_put_and_sent_is_what_the_phone_holds(desk: Desk, media_type: str) -> None:
    rendition, path = desk.rendition(b"the bytes of " + media_type.encode(), media_type)
    copy = await desk.upstream.put(rendition, path, None)
    await desk.upstream.send(envelope(rendition, copy, world=await desk.world()))
    (message,) = await desk.network.messages()
    assert (message["id"], message["type"], message["caption"]) == ("m1", media_type, "A caption")
    assert await on_phone(desk, "m1") == path.read_bytes()


@pytest.mark.parametrize(("size", "spools"), [(0, 0), (IN_MEMORY, 0), (IN_MEMORY + 1, 1), (3 * MEBIBYTE + 7, 1)])
async def test_a_file_over_about_a_mebibyte_goes_through_the_spool_which_is_closed(desk: Desk, size: int, spools: int) -> None:
    rendition, path = desk.rendition(b"\x5a" * size)
    copy = await desk.upstream.put(rendition, path, None)
    assert len(desk.spooled) == spools
    assert all(spool.closed for spool in desk.spooled)
    await desk.upstream.send(envelope(rendition, copy))
    await desk.network.messages()
    assert await on_phone(desk, "m1") == path.read_bytes()


async def test_the_same_message_twice_reaches_the_phone_once(desk: Desk) -> None:
    rendition, path = desk.rendition(b"once")
    copy = await desk.upstream.put(rendition, path, None)
    for _ in range(2):
        await desk.upstream.send(envelope(rendition, copy))
    assert len(await desk.network.messages()) == 1


async def test_state_is_the_networks_world_and_clock(desk: Desk) -> None:
    assert (await desk.upstream.state()).offset == 0.0
    await desk.network.call("PUT", "/sandbox/clock", json={"advance": "1d"})
    said = await desk.upstream.state()
    _, state = await desk.network.call("GET", "/wire/state", headers=desk.network.authorization)
    assert (said.world, said.offset) == (state["world"], 86_400.0)


# Copies


async def test_a_known_copy_starts_anew_without_its_bytes(desk: Desk) -> None:
    rendition, path = desk.rendition(b"known")
    first = await desk.upstream.put(rendition, path, None)
    path.unlink()
    again = await desk.upstream.put(rendition, path, first.address)
    assert again.address == first.address
    assert again.expires_net > first.expires_net


async def test_a_known_copy_that_the_network_lost_is_put_again(desk: Desk) -> None:
    rendition, path = desk.rendition(b"lost")
    first = await desk.upstream.put(rendition, path, None)
    await desk.network.call("PUT", "/sandbox/clock", json={"advance": "15d"})
    with pytest.raises(StaleCopy):
        await desk.upstream.send(envelope(rendition, first))
    again = await desk.upstream.put(rendition, path, first.address)
    assert again.expires_net > first.expires_net + 14 * 86_400
    await desk.upstream.send(envelope(rendition, again))
    await desk.network.messages()
    assert await on_phone(desk, "m1") == b"lost"


@pytest.mark.parametrize("size", [100, 6 * MEBIBYTE])
async def test_force_mends_what_the_network_believes_to_have(desk: Desk, size: int) -> None:
    rendition, path = desk.rendition(os.urandom(size), "video")
    first = await desk.upstream.put(rendition, path, None)
    before = set(desk.vault.rglob("*.enc"))
    (blob,) = [file for file in before if file.stem == msgspec.json.decode(first.address, type=wire.Address).token]
    whole = blob.read_bytes()
    blob.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert (await desk.upstream.put(rendition, path, first.address)).address == first.address
    assert blob.read_bytes() != whole
    assert (await desk.upstream.put(rendition, path, first.address, force=True)).address == first.address
    assert blob.read_bytes() == whole


@pytest.mark.parametrize("media_type", ["image", "video"])
async def test_an_expired_copy_is_put_again_as_the_same_blob_at_another_address(desk: Desk, media_type: str) -> None:
    rendition, path = desk.rendition(os.urandom(3 * MEBIBYTE + 5), media_type)
    first = await desk.upstream.put(rendition, path, None)
    await desk.network.call("PUT", "/sandbox/clock", json={"advance": "15d"})
    again = await desk.upstream.put(rendition, path, first.address)
    before, after = (msgspec.json.decode(copy.address, type=wire.Address) for copy in (first, again))
    assert before.direct_path != after.direct_path
    assert (before.token, before.sidecar, before.file_length) == (after.token, after.sidecar, after.file_length)
    path.write_bytes(b"other bytes")
    await desk.network.call("PUT", "/sandbox/clock", json={"advance": "15d"})
    with pytest.raises(Fault) as refused:
        await desk.upstream.put(rendition, path, again.address)
    assert refused.value.situation is MEDIA_CHANGED


async def test_p15_a_phones_request_is_read_and_answered(desk: Desk) -> None:
    rendition, path = desk.rendition(b"after 14 days", "image")
    first = await desk.upstream.put(rendition, path, None)
    await desk.network.phone(auto_download=False)
    await desk.upstream.send(envelope(rendition, first))
    await desk.network.call("PUT", "/sandbox/clock", json={"advance": "15d"})
    failed = msgspec.json.decode(first.address, type=wire.Address).direct_path
    sealed = retry.seal_request(rendition.media_key, "m1")
    posted = {"id": "e", "kind": "media_retry", "message": "m1", "recipient": PHONE, "direct_path": failed, "at": 5.0}
    body = {**posted, "enc_p": b64encode(sealed.enc_p).decode(), "enc_iv": b64encode(sealed.enc_iv).decode()}
    request = wire.read_events(msgspec.json.encode({"world": await desk.world(), "events": [body]})).events[0].request
    assert request is not None
    assert (request.message, request.recipient, request.asked_net) == ("m1", PHONE, 5.0)
    assert desk.upstream.opens(request, rendition.media_key)
    assert not desk.upstream.opens(request, bytes(32))
    assert desk.upstream.names(request, first.address)
    again = await desk.upstream.put(rendition, path, first.address)
    assert not desk.upstream.names(request, again.address)
    await desk.network.act("download", "m1", wait="0s")
    while await desk.network.state("m1") != "requesting":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await desk.upstream.renew(request, rendition.media_key, again)
    await desk.network.messages()
    assert await on_phone(desk, "m1") == b"after 14 days"
    for answer in (again, *Unrenewed):  # nobody listens any more, and that is no error
        await desk.upstream.renew(request, None if answer is Unrenewed.GONE else rendition.media_key, answer)
    with pytest.raises(Fault) as unknown:
        await desk.upstream.renew(replace(request, recipient="12025550199"), None, Unrenewed.GONE)
    assert unknown.value.situation is MESSAGE_UNKNOWN


@pytest.mark.parametrize("wrong", [{}, {"enc_p": "?"}, {"enc_iv": "AAAA"}, {"enc_p": "é"}, {"direct_path": 5}, {"message": None}])
def test_requests_that_are_none_open_for_nobody(wrong: dict[str, Any]) -> None:
    body = {"id": "e", "kind": "media_retry", "message": "m1", "recipient": PHONE, **wrong}
    for event in wire.read_events(msgspec.json.encode({"world": "w", "events": [body]})).events:  # of another form it is none at all
        assert event.request is not None
        assert not wire.opens(event.request, bytes(32))


async def test_the_same_bytes_and_key_are_the_same_copy(desk: Desk) -> None:
    rendition, path = desk.rendition(b"same")
    first = await desk.upstream.put(rendition, path, None)
    assert (await desk.upstream.put(rendition, path, None)).address == first.address
    other, path = desk.rendition(b"same", key=bytes(32))
    assert (await desk.upstream.put(other, path, None)).address != first.address


async def test_an_upload_that_broke_off_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rendition, path = desk.rendition(os.urandom(8 * MEBIBYTE))
    blob, address = await asyncio.to_thread(desk.upstream._seal, rendition, path)
    whole = blob.read()
    _, writer = await asyncio.open_connection("127.0.0.1", int(desk.network.url.rpartition(":")[2]))
    head = f"POST /mms/document/{address.token} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n"
    writer.write(f"{head}Authorization: {desk.network.authorization['Authorization']}\r\n\r\n".encode() + whole[: 5 * MEBIBYTE])
    await writer.drain()
    writer.close()
    blob.close()
    door = f"/mms/document/{address.token}?resume=1"
    while (await desk.network.call("POST", door, headers=desk.network.authorization))[1]["resume"] == "0":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    sent: list[int] = []
    call = desk.upstream._call

    async def watched(method: str, path: str, body: Any = None, size: int | None = None) -> bytes:
        sent.append(size or 0)
        return await call(method, path, body, size)

    monkeypatch.setattr(desk.upstream, "_call", watched)
    copy = await desk.upstream.put(rendition, path, None)
    assert 0 < sum(sent) < len(whole)
    await desk.upstream.send(envelope(rendition, copy))
    await desk.network.messages()
    assert await on_phone(desk, "m1") == path.read_bytes()


async def test_an_upload_whose_beginning_was_another_files_starts_anew(desk: Desk) -> None:
    rendition, path = desk.rendition(os.urandom(8 * MEBIBYTE))
    blob, address = await asyncio.to_thread(desk.upstream._seal, rendition, path)
    blob.close()
    door, rubbish = f"/mms/document/{address.token}", bytes(5 * MEBIBYTE)
    _, writer = await asyncio.open_connection("127.0.0.1", int(desk.network.url.rpartition(":")[2]))
    head = f"POST {door} HTTP/1.1\r\nHost: x\r\nContent-Length: {9 * MEBIBYTE}\r\n"
    writer.write(f"{head}Authorization: {desk.network.authorization['Authorization']}\r\n\r\n".encode() + rubbish)
    await writer.drain()
    writer.close()
    while (await desk.network.call("POST", f"{door}?resume=1", headers=desk.network.authorization))[1]["resume"] == "0":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    copy = await desk.upstream.put(rendition, path, None)
    await desk.upstream.send(envelope(rendition, copy))
    await desk.network.messages()
    assert await on_phone(desk, "m1") == path.read_bytes()


# A file that is not what it was


@pytest.mark.parametrize("size", [100, MEBIBYTE + 1])
async def test_of_a_file_that_was_changed_nothing_leaves(desk: Desk, size: int) -> None:
    rendition, path = desk.rendition(b"a" * size)
    path.write_bytes(b"b" * size)
    with pytest.raises(Fault) as caught:
        await desk.upstream.put(rendition, path, None)
    assert caught.value.situation is MEDIA_CHANGED
    assert await desk.uploads() == 0
    assert all(spool.closed for spool in desk.spooled)
    path.write_bytes(b"a" * size)
    await desk.upstream.put(rendition, path, None)
    assert await desk.uploads() == 1


async def test_a_file_that_is_not_there_passes_through(desk: Desk) -> None:
    rendition, path = desk.rendition(b"gone")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        await desk.upstream.put(rendition, path, None)
    assert await desk.uploads() == 0


class Full(tempfile.SpooledTemporaryFile[bytes]):
    """A spool on a disk that has no room."""

    def write(self, *_: Any) -> int:
        raise OSError(28, "No space left on device")


async def test_a_spool_that_cannot_be_written_is_a_full_volume(desk: Desk) -> None:
    rendition, path = desk.rendition(b"x" * (MEBIBYTE + 1))
    spool = Full()
    upstream = Sandbox(Config(url=desk.network.url, secret=SECRET), lambda size: cast(BinaryIO, spool), open_plain)
    with pytest.raises(Fault) as caught:
        await upstream.put(rendition, path, None)
    assert caught.value.situation is VOLUME_FULL
    assert spool.closed
    await upstream.close()


# Refusals and silence


async def test_a_message_of_a_world_that_was_reset_fails(desk: Desk) -> None:
    rendition, path = desk.rendition(b"x")
    copy = await desk.upstream.put(rendition, path, None)
    with pytest.raises(Fault) as caught:
        await desk.upstream.send(envelope(rendition, copy, world="w-of-yesterday"))
    assert caught.value.situation is WORLD_RESET


async def test_a_copy_of_a_world_that_was_reset_is_stale_and_put_again(desk: Desk) -> None:
    rendition, path = desk.rendition(b"x")
    copy = await desk.upstream.put(rendition, path, None)
    await desk.network.call("POST", "/sandbox/reset")
    with pytest.raises(StaleCopy):
        await desk.upstream.send(envelope(rendition, copy))
    again = await desk.upstream.put(rendition, path, copy.address)
    await desk.upstream.send(envelope(rendition, again))
    await desk.network.messages()
    assert await on_phone(desk, "m1") == b"x"


async def test_an_envelope_that_the_network_cannot_take_fails_with_its_words(desk: Desk) -> None:
    rendition, path = desk.rendition(b"x")
    copy = await desk.upstream.put(rendition, path, None)
    with pytest.raises(Fault, match="id") as caught:
        await desk.upstream.send(envelope(rendition, copy, message="m" * 129))
    assert caught.value.situation is UPSTREAM_REFUSED


async def test_a_wrong_secret_is_worth_another_try(desk: Desk, tmp_path: Path) -> None:
    rendition, path = desk.rendition(b"x")
    copy = await desk.upstream.put(rendition, path, None)
    async with opened(desk.network, tmp_path, desk.vault, "wrong") as other:
        for call in (other.upstream.put(rendition, path, None), other.upstream.send(envelope(rendition, copy)), other.upstream.state()):
            with pytest.raises(Later, match="401") as caught:
                await call
            assert caught.value.situation is UPSTREAM_DOWN
            assert "wrong" not in caught.value.details
    assert len(await desk.network.messages(wait="0s")) == 0


async def test_a_network_that_is_down_is_later(tmp_path: Path) -> None:
    async with listening() as node, running(node.url) as sandbox, opened(sandbox, tmp_path, tmp_path) as desk:
        rendition, path = desk.rendition(b"x" * (MEBIBYTE + 1))
        copy = await desk.upstream.put(rendition, path, None)
    async with opened(sandbox, tmp_path, tmp_path) as desk:
        calls = [
            desk.upstream.put(rendition, path, None),
            desk.upstream.put(rendition, path, copy.address),
            desk.upstream.send(envelope(rendition, copy)),
            desk.upstream.state(),
        ]
        for call in calls:
            with pytest.raises(Later) as caught:
                await call
            assert caught.value.situation is UPSTREAM_DOWN
        assert all(spool.closed for spool in desk.spooled)


@pytest.mark.parametrize(
    "answer",
    [(200, b"<html>"), (200, b"\xff"), (200, b"{}"), (200, b""), (500, b""), (503, b"{}"), (302, b""), (404, b'{"error": "no_such_page"}')],
)
async def test_an_answer_that_follows_no_page_is_later(tmp_path: Path, answer: tuple[int, bytes]) -> None:
    status, body = answer
    async with odd_server(status, body) as url:
        upstream = Sandbox(Config(url=url, secret=SECRET), Folder(tmp_path, "w").spool, open_plain)
        path = tmp_path / "x"
        path.write_bytes(b"x")
        rendition = Rendition("r", "s", "image", "p", None, "image/png", 1, hashlib.sha256(b"x").hexdigest(), bytes(32))
        for call in (upstream.state(), upstream.put(rendition, path, None)):
            with pytest.raises(Later) as caught:
                await call
            assert caught.value.situation is UPSTREAM_DOWN
        await upstream.close()


@asynccontextmanager
async def odd_server(status: int, body: bytes) -> AsyncIterator[str]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Location": "/elsewhere"} if status == 302 else {})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_signed_events_are_read_and_others_refused(desk: Desk) -> None:
    body = msgspec.json.encode({"world": "w", "events": [{"id": "e", "kind": "state", "offset": 1.5}]})
    header = wire.sign(SECRET, body, int(time.time()))
    assert desk.upstream.events({wire.SIGNATURE: header}, body).events[0].offset == 1.5
    with pytest.raises(Fault):
        desk.upstream.events({wire.SIGNATURE: header}, body + b" ")


async def test_the_network_tells_what_phones_have_fetched(desk: Desk) -> None:
    rendition, path = desk.rendition(b"fetched or not")
    copy, world = await desk.upstream.put(rendition, path, None), await desk.world()
    waits = "12025550117"
    await desk.network.call("POST", "/sandbox/phones", json={"number": waits, "auto_download": False})
    for number, id_ in ((PHONE, "has"), (waits, "has-not")):
        placed = Placed("application/pdf", rendition, copy)
        await desk.upstream.send(Envelope(id_, world, Outgoing(number, "document", "m"), placed))
        await desk.network.call("GET", f"/sandbox/phones/{number}/messages?wait=5s")
    assert await desk.upstream.downloaded(["has", "has-not", "nobody's"]) == {"has"}
    assert await desk.upstream.downloaded([]) == set()
    with pytest.raises(Fault):
        await desk.upstream.downloaded(["x"] * 1001)
