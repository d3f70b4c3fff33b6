"""The adapter against the simulated network itself, over loopback HTTP: what arrives, what never leaves, refusals and silence."""

import hashlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pytest
from aiohttp import web

from satchel.domain.errors import MEDIA_CHANGED, UPSTREAM_DOWN, UPSTREAM_REFUSED, VOLUME_FULL, WORLD_RESET, Fault, Later
from satchel.domain.media import Rendition
from satchel.domain.messages import Outgoing
from satchel.upstream import Config, Envelope, Placed, StaleCopy
from satchel.upstream.sandbox import IN_MEMORY, Sandbox, wire
from satchel.volume.folder import Folder
from satchel.volume.reading import open_plain

from ..sandbox.node import listening
from ..sandbox.running import PHONE, SECRET, running
from .desk import MEBIBYTE, Desk, envelope, on_phone, opened

pytestmark = pytest.mark.anyio


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
