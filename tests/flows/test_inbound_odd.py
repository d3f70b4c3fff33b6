"""What comes in damaged, twice, hostile or as nonsense: it brings no file that is not whole, and is told of as what it is or not at all."""

import hashlib
import json
import time
from typing import Any

import msgspec
import pytest

from satchel.domain.errors import BAD_REQUEST, Fault
from satchel.flows import Ports, events
from satchel.upstream.sandbox.wire import SIGNATURE, sign

from ..conftest import Place
from ..sandbox.crypt import seal
from .phones import PHONE, SECRET, MediaServer, answered, event, post, with_media
from .received import files, first, node, server, told, work
from .test_events import a_message

__all__ = ["node", "server"]
pytestmark = pytest.mark.anyio


DAMAGES: dict[str, dict[str, Any]] = {
    "blob hash": {"file_enc_sha256": "A" * 43 + "="},
    "plain hash": {"file_sha256": "A" * 43 + "="},
    "longer than said": {"file_length": 3},
    "shorter than said": {"file_length": 300},
    "another key": {"media_key": "A" * 43 + "="},
    "length within one block": {"file_length": 8},
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_message_that_does_not_fit_its_blob_brings_no_file(place: Place, node: Ports, server: MediaServer, damage: str) -> None:
    await post(node, with_media(server, "m", caption="Look", media=DAMAGES[damage]))
    await work(node)
    message = await first(node)
    assert (message["image"]["status"], message["image"]["caption"], "file" in message["image"]) == ("undownloaded", "Look", False)
    assert [(error["code"], error["title"]) for error in message["errors"]] == [(400, "Media download error")]
    assert files(place) == []


@pytest.mark.parametrize("at", [0, 20, -1, -11])
async def test_a_flipped_bit_anywhere_is_found(place: Place, node: Ports, server: MediaServer, at: int) -> None:
    data = bytes(range(256)) * 8
    await post(node, with_media(server, "m", data=data))
    (path,) = server.blobs
    blob = bytearray(server.blobs[path])
    blob[at] ^= 1
    server.blobs[path] = bytes(blob)
    await work(node)
    assert (await first(node))["image"]["status"] == "undownloaded"
    assert files(place) == []


@pytest.mark.parametrize("cut", [0, 9, 26, 1_000_000])
async def test_a_blob_that_was_cut_short_is_found(place: Place, node: Ports, server: MediaServer, cut: int) -> None:
    await post(node, with_media(server, "m", data=bytes(2_000_000)))
    (path,) = server.blobs
    server.blobs[path] = server.blobs[path][:cut]
    await work(node)
    assert (await first(node))["image"]["status"] == "undownloaded"
    assert files(place) == []


async def test_a_blob_whose_hash_fits_and_whose_mac_does_not(place: Place, node: Ports, server: MediaServer) -> None:
    sealed = seal(b"a photo")
    forged = sealed.blob[:-1] + bytes([sealed.blob[-1] ^ 1])
    digest = hashlib.sha256(forged).digest()
    media = sealed.media("/v/forged") | {"file_enc_sha256": msgspec.json.decode(msgspec.json.encode(digest))}
    server.blobs["/v/forged"] = forged
    await post(node, event("m", "image", media=media))
    await work(node)
    assert "MAC" in (await first(node))["errors"][0]["details"]


async def test_more_than_the_limit_is_not_even_asked_for(node: Ports, server: MediaServer) -> None:
    await post(node, with_media(server, "m", "document", media={"file_length": 100 * 2**20 + 1}))
    await work(node)
    message = await first(node)
    assert (message["document"]["status"], server.gets) == ("undownloaded", [])
    assert "100 MiB" in message["errors"][0]["details"] or "100 MB" in message["errors"][0]["details"]


async def test_an_answer_nobody_waits_for_does_no_harm(node: Ports, server: MediaServer) -> None:
    await post(node, answered("nobodys", error=2), with_media(server, "m"), answered("m", error=2))
    await work(node)
    assert len(await told(node)) == 1


async def test_the_same_message_is_told_once_under_whatever_event(node: Ports, server: MediaServer) -> None:
    one = with_media(server, "m")
    assert await post(node, one, {**one, "id": "another"}) == 2
    assert await post(node, one) == 0
    await work(node)
    assert len(await told(node)) == 1
    assert await node.db.read(lambda tx: tx.one("SELECT count(*) FROM media")) == (1,)


async def test_an_id_that_is_one_of_ours_is_dropped(node: Ports) -> None:
    ours = await a_message(node)
    assert await post(node, event(ours, "text", text="forged")) == 1
    await work(node)
    assert await told(node) == []


NONSENSE: list[dict[str, Any]] = [
    {"message": None},
    {"message": 5},
    {"message": "has blanks in it"},
    {"message": "x" * 129},
    {"from": "nobody"},
    {"from": "../../etc"},
    {"from": None},
    {"at": "soon"},
    {"at": -1},
    {"at": 1e300},
    {"at": True},
]

UNREADABLE: list[dict[str, Any]] = [
    {"type": "poem"},
    {"type": None},
    {"type": ["image"]},
    {"type": "text", "text": 5},
    {"type": "reaction", "reaction": {"message": "m"}},
    {"media": None},
    {"media": []},
    {"media": {"type": "video"}},
    {"media": {"type": "image", "media_key": "short"}},
    {"media": {"direct_path": "http://169.254.169.254/"}},
    {"media": {"direct_path": "//169.254.169.254/"}},
    {"media": {"file_length": -1}},
    {"media": {"file_length": 1e99}},
    {"media": {"file_length": True}},
    {"media": {"file_sha256": "AAAA"}},
]


@pytest.mark.parametrize("odd", NONSENSE, ids=str)
async def test_what_nobody_can_be_told_of_is_taken_and_dropped(node: Ports, server: MediaServer, odd: dict[str, Any]) -> None:
    assert await post(node, {**with_media(server, "m"), **odd}, event("good", "text", text="x")) == 2
    await work(node)
    assert [body["messages"][0]["id"] for body in await told(node)] == ["good"]


@pytest.mark.parametrize("odd", ['"at": 1e999', '"name": "\\ud800"', '"extra": [{"x": -1e999}]', '"extra": NaN'])
async def test_what_only_a_careless_reader_takes_costs_nobody_else(node: Ports, odd: str) -> None:
    whole = json.dumps(event("m", "text", text="x"))
    good = json.dumps(event("good", "text", text="x"))
    body = f'{{"world": "w1", "events": [{whole[:-1]}, {odd}}}, {good}]}}'.encode()
    assert await events.absorb(node, {SIGNATURE: sign(SECRET, body, int(time.time()))}, body) == 1
    await work(node)
    assert [body["messages"][0]["id"] for body in await told(node)] == ["good"]


@pytest.mark.parametrize(
    "body", [b'{"world": "\\ud800", "events": []}', b'{"world": "w1", "events": [1e999]', b'{"world": 1e999, "events": []}']
)
async def test_a_body_in_which_no_events_can_be_told_apart_is_refused(node: Ports, body: bytes) -> None:
    with pytest.raises(Fault) as refused:
        await events.absorb(node, {SIGNATURE: sign(SECRET, body, int(time.time()))}, body)
    assert refused.value.situation is BAD_REQUEST


@pytest.mark.parametrize(("name", "shown"), [("Cus\0tomer", "Customer"), ("\0", PHONE)])
async def test_a_nul_in_a_name_costs_no_message(node: Ports, server: MediaServer, name: str, shown: str) -> None:
    assert await post(node, with_media(server, "m", "document", name=name, filename="bi\0ll.pdf")) == 1
    await work(node)
    (body,) = await told(node)
    assert (body["contacts"][0]["profile"]["name"], body["messages"][0]["document"]["filename"]) == (shown, "bill.pdf")


@pytest.mark.parametrize("odd", UNREADABLE, ids=str)
async def test_what_nobody_can_read_is_told_of_as_unknown(node: Ports, server: MediaServer, odd: dict[str, Any]) -> None:
    whole = with_media(server, "m")
    media = odd.get("media")
    changed = {**whole, **odd} if not isinstance(media, dict) else {**whole, "media": {**whole["media"], **media}}
    assert await post(node, changed) == 1
    await work(node)
    message = await first(node)
    assert message["type"] == "unknown"
    assert message["errors"] == [{"code": 501, "title": "Unknown message type", "details": "Message type is not currently supported"}]
    assert server.gets == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\bill.pdf", "bill.pdf"),
        ("a\r\nX: y\x1b[2J\u202egpj.exe", "aX: y[2Jgpj.exe"),
        ("..", None),
        ("x" * 400, "x" * 255),
        (5, None),
    ],
)
async def test_a_hostile_filename_is_a_name(node: Ports, server: MediaServer, given: Any, shown: str | None) -> None:
    await post(node, with_media(server, "m", "document", filename=given))
    await work(node)
    assert (await first(node))["document"].get("filename") == shown


@pytest.mark.parametrize("mime", ["image/jpeg\r\nX: y", "nonsense", "", None, 5, "a/" + "b" * 300])
async def test_a_hostile_mime_is_none(node: Ports, server: MediaServer, mime: Any) -> None:
    await post(node, with_media(server, "m", media={"mime_type": mime}))
    await work(node)
    assert (await first(node))["image"]["mime_type"] == "application/octet-stream"


async def test_a_hostile_caption_and_name_stay_text(node: Ports, server: MediaServer) -> None:
    caption = '"}]}\n<script>\u202e🏴' * 1000
    await post(node, with_media(server, "m", caption=caption, name="\u0007"))
    await work(node)
    (body,) = await told(node)
    assert body["messages"][0]["image"]["caption"] == caption
    assert body["contacts"][0]["profile"]["name"] == "\u0007"


async def test_a_world_that_is_gone_sends_nothing(node: Ports, server: MediaServer) -> None:
    await post(node, {"id": "s", "kind": "state", "offset": 0.0}, world="w2")
    assert await post(node, with_media(server, "m"), world="w1") == 1
    await work(node)
    assert await told(node) == []
