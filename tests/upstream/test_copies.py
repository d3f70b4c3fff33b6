"""Copies at the simulated network, over loopback HTTP: known, lost, over, asked for again, broken off."""

import asyncio
import os
from base64 import b64encode
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from satchel.domain.errors import MEDIA_CHANGED, MESSAGE_UNKNOWN, Fault
from satchel.upstream import StaleCopy, Unrenewed
from satchel.upstream.sandbox import retry, wire

from ..sandbox.running import PHONE
from .desk import MEBIBYTE, Desk, envelope, on_phone

pytestmark = pytest.mark.anyio


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
