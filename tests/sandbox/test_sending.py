"""What phones send: encrypted before it reaches the media server, in the phone's conversation, told to the node in its order."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from satchel_sandbox import retry

from .crypt import opened
from .node import Node
from .running import BUSINESS, PHONE, Json, Sandbox, running

pytestmark = pytest.mark.anyio
VECTORS = json.loads((Path(__file__).parents[2] / "wire" / "received.json").read_text("utf-8"))
TYPES = {
    "image": (b"\xff\xd8\xff\xe0 a photo", "image/jpeg", "image"),
    "video": (b"a video", "video/mp4", "video"),
    "audio": (b"music", "audio/mpeg", "audio"),
    "voice": (b"OggS a voice", "audio/ogg; codecs=opus", "audio"),
    "document": (b"%PDF-1.7", "application/pdf", "document"),
    "sticker": (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02 moves", "image/webp", "sticker"),
}


def sent(node: Node) -> list[Json]:
    return [event for event in node.events if event["kind"] == "message"]


async def first(node: Node) -> Json:
    await node.until(lambda: bool(sent(node)))
    return sent(node)[0]


@pytest.mark.parametrize("type_", TYPES)
async def test_p19_a_phone_sends_media_of_each_type(sandbox: Sandbox, node: Node, type_: str) -> None:
    data, mime, told = TYPES[type_]
    message = await sandbox.from_phone(type_, data)
    event = await first(node)
    assert (event["message"], event["from"], event["name"], event["type"]) == (message["id"], PHONE, PHONE, told)
    assert (event["media"]["type"], event["media"]["mime_type"]) == (told, mime)
    assert event.get("ptt") == (True if type_ == "voice" else None)
    assert event.get("animated") == (True if type_ == "sticker" else None)
    status, _, blob = await sandbox.bytes(event["media"]["direct_path"])
    assert status == 200
    assert data not in blob
    assert opened(event["media"], blob) == data


async def test_an_event_has_the_members_of_the_wire_page(sandbox: Sandbox, node: Node) -> None:
    known = {name for vector in VECTORS for name in vector["event"]}
    media = {name for vector in VECTORS for name in vector["event"].get("media") or {}}
    await sandbox.text("asked")
    await sandbox.from_phone("document", b"x", caption="c", filename="f", reply_to="asked")
    await sandbox.from_phone("voice", b"x")
    await sandbox.from_phone("sticker", b"x")
    await node.until(lambda: len(sent(node)) == 3)
    assert {name for event in sent(node) for name in event} <= known
    assert {name for event in sent(node) for name in event["media"]} <= media


async def test_a_text_and_what_it_answers(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("asked")
    message = await sandbox.from_phone("text", text="Yes 👍", reply_to="asked")
    event = await first(node)
    assert (event["type"], event["text"], event["context"]) == ("text", "Yes 👍", {"from": BUSINESS, "id": "asked"})
    assert (message["from"], message["to"], message["text"]) == (PHONE, BUSINESS, "Yes 👍")


async def test_caption_filename_and_mime_are_told_as_given(sandbox: Sandbox, node: Node) -> None:
    await sandbox.from_phone("document", b"x", caption="the bill", filename="bill.ods", mime_type="application/x-odd; v=1")
    event = await first(node)
    assert (event["caption"], event["filename"], event["media"]["mime_type"]) == ("the bill", "bill.ods", "application/x-odd; v=1")


async def test_a_reaction_is_told_and_stands_under_its_message(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("m")
    for emoji in ("👍", ""):
        status, done = await sandbox.call(
            "POST", f"/sandbox/phones/{PHONE}/actions", json={"do": "react", "message": "latest", "emoji": emoji}
        )
        assert (status, done["message"].get("reaction")) == (200, emoji or None)
    await node.until(lambda: len(sent(node)) == 2)
    assert [event["reaction"] for event in sent(node)] == [{"message": "m", "emoji": "👍"}, {"message": "m", "emoji": ""}]
    assert len({event["message"] for event in sent(node)}) == 2


async def test_what_a_phone_sends_stands_in_its_conversation(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("theirs")
    message = await sandbox.from_phone("image", b"photo", caption="Look")
    await node.until(lambda: bool(sent(node)))
    listed = await sandbox.messages()
    assert [(one["id"], one.get("mine", False)) for one in listed] == [("theirs", False), (message["id"], True)]
    assert (listed[1]["ticks"], listed[1]["read"], listed[1]["media"]["state"]) == ("delivered", True, "downloaded")
    _, conversations = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/conversations")
    (one,) = conversations["conversations"]
    assert (one["business"], one["messages"], one["unread"], one["latest"]) == (BUSINESS, 2, 1, message["id"])
    assert (await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/{message['id']}/media"))[2] == b"photo"


async def test_latest_is_what_was_received_and_not_what_was_sent(sandbox: Sandbox) -> None:
    await sandbox.text("theirs")
    await sandbox.from_phone("text", text="mine")
    assert (await sandbox.act("read", "latest"))["message"]["id"] == "theirs"


async def test_the_ticks_follow_what_the_node_does(sandbox: Sandbox, node: Node) -> None:
    node.gate.clear()
    message = await sandbox.from_phone("text", text="hello")
    assert message["ticks"] == "sent"
    node.gate.set()
    await node.until(lambda: bool(sent(node)))
    path = f"/wire/messages/{message['id']}/read"
    for _ in range(2):
        assert (await sandbox.call("POST", path, headers=sandbox.authorization))[0] == 200
    assert (await sandbox.messages())[0]["ticks"] == "read"
    assert (await sandbox.call("POST", "/wire/messages/nobodys/read", headers=sandbox.authorization))[1]["error"] == "unknown_message"


async def test_one_phones_messages_come_in_order_one_after_the_other(sandbox: Sandbox, node: Node) -> None:
    node.gate.clear()
    ids = [(await sandbox.from_phone("text", text=str(n)))["id"] for n in range(5)]
    node.gate.set()
    await node.until(lambda: len(sent(node)) == 5)
    assert [event["message"] for event in sent(node)] == ids
    assert max(len([one for one in post.events if one["kind"] == "message"]) for post in node.posts) == 1


async def test_two_sends_of_one_file_have_two_keys(sandbox: Sandbox, node: Node) -> None:
    for _ in range(2):
        await sandbox.from_phone("image", b"photo")
    await node.until(lambda: len(sent(node)) == 2)
    one, other = (event["media"] for event in sent(node))
    assert one["media_key"] != other["media_key"]
    assert one["direct_path"] != other["direct_path"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"type": "poem"}, 400),
        ({"type": "image"}, 400),
        ({"type": "image", "file": "../../secret"}, 404),
        ({"type": "image", "file": "0" * 64}, 404),
        ({"type": "image", "data": "***"}, 400),
        ({"type": "image", "data": "eA==", "file": "0" * 64}, 400),
        ({"type": "audio", "data": "eA==", "caption": "no"}, 400),
        ({"type": "image", "data": "eA==", "caption": "\0"}, 400),
        ({"type": "image", "data": "eA==", "mime_type": "no mime"}, 400),
        ({"type": "text"}, 400),
        ({"type": "text", "text": "\0"}, 400),
        ({"type": "text", "text": "x", "caption": "no"}, 400),
        ({"type": "text", "text": "x", "filename": "\0"}, 400),
        ({"type": "text", "text": "x", "data": "eA=="}, 400),
        ({"type": "text", "text": "x", "reply_to": "nobodys"}, 404),
    ],
)
async def test_what_a_phone_cannot_send(sandbox: Sandbox, said: dict[str, Any], status: int) -> None:
    answered, refusal = await sandbox.call("POST", f"/sandbox/phones/{PHONE}/actions", json={"do": "send", **said})
    assert (answered, "details" in refusal) == (status, True), refusal
    assert await sandbox.messages("0s") == []


async def test_a_name_that_no_database_takes_is_refused(sandbox: Sandbox) -> None:
    for method, path in (("POST", "/sandbox/phones"), ("PATCH", f"/sandbox/phones/{PHONE}")):
        assert (await sandbox.call(method, path, json={"name": "Me\0"}))[0] == 400
    assert (await sandbox.call("PATCH", f"/sandbox/phones/{PHONE}", json={"name": "Me\n민수"}))[0] == 200


async def test_an_offline_and_a_blocking_phone_send_nothing(sandbox: Sandbox) -> None:
    for do, slug in (("offline", "offline"), ("block", "blocked")):
        if do == "block":
            await sandbox.act("online")
        await sandbox.act(do)
        said = {"do": "send", "type": "image", "data": base64.b64encode(b"x").decode()}
        assert (await sandbox.call("POST", f"/sandbox/phones/{PHONE}/actions", json=said))[1]["error"] == slug


async def ask(sandbox: Sandbox, event: Json, key: bytes | None = None) -> int:
    parcel = retry.seal_request(key or base64.b64decode(event["media"]["media_key"]), event["message"])
    body = {"enc_p": base64.b64encode(parcel.enc_p).decode(), "enc_iv": base64.b64encode(parcel.enc_iv).decode()}
    path = f"/wire/messages/{event['message']}/media-retry-request"
    return (await sandbox.call("POST", path, json=body, headers=sandbox.authorization))[0]


async def answer(node: Node, count: int = 1) -> Json:
    await node.until(lambda: sum(event["kind"] == "media_retry_answer" for event in node.events) == count)
    return [event for event in node.events if event["kind"] == "media_retry_answer"][-1]


def read(event: Json, told: Json) -> retry.Answer:
    parcel = retry.Parcel(base64.b64decode(told["enc_p"]), base64.b64decode(told["enc_iv"]))
    return retry.open_answer(base64.b64decode(event["media"]["media_key"]), event["message"], parcel)


async def test_a_phone_puts_what_is_over_on_the_server_once_more(sandbox: Sandbox, node: Node) -> None:
    await sandbox.from_phone("image", b"photo")
    event = await first(node)
    await sandbox.advance("15d")
    assert (await sandbox.bytes(event["media"]["direct_path"]))[0] == 410
    assert await ask(sandbox, event) == 200
    told = read(event, await answer(node))
    assert (told.result, told.direct_path != event["media"]["direct_path"]) == ("SUCCESS", True)
    assert opened(event["media"], (await sandbox.bytes(str(told.direct_path)))[2]) == b"photo"


async def test_a_request_waits_for_the_phone(sandbox: Sandbox, node: Node) -> None:
    await sandbox.from_phone("image", b"photo")
    event = await first(node)
    await sandbox.act("offline")
    assert await ask(sandbox, event) == 200
    for _ in range(3):
        await sandbox.from_phone("text", number="12025550112", text="another phone goes on meanwhile")
    await node.until(lambda: len(sent(node)) == 4)
    assert not any(event["kind"] == "media_retry_answer" for event in node.events)
    await sandbox.act("online")
    assert read(event, await answer(node)).result == "SUCCESS"


async def test_a_phone_without_the_file_says_so_and_one_that_cannot_read_the_request_too(sandbox: Sandbox, node: Node) -> None:
    message = await sandbox.from_phone("image", b"photo")
    event = await first(node)
    assert await ask(sandbox, event, bytes(32)) == 200
    assert (await answer(node))["error"] == 3
    await sandbox.act("forget", message["id"])
    assert await ask(sandbox, event) == 200
    assert (await answer(node, 2))["error"] == 2
    assert await ask(sandbox, {**event, "message": "nobodys"}) == 404


async def test_what_was_sent_survives_a_restart_and_a_reset_forgets_it(node: Node, tmp_path: Path) -> None:
    async with running("http://127.0.0.1:9", tmp_path) as sandbox:
        await sandbox.from_phone("image", b"photo")
        await sandbox.act("offline")
    async with running(node.url, tmp_path) as sandbox:
        event = await first(node)
        assert opened(event["media"], (await sandbox.bytes(event["media"]["direct_path"]))[2]) == b"photo"
        assert [one["mine"] for one in await sandbox.messages()] == [True]
        await sandbox.call("POST", "/sandbox/reset")
        assert await sandbox.messages("0s") == []
        assert await ask(sandbox, event) == 404


async def test_no_key_is_in_what_the_control_api_shows(sandbox: Sandbox, node: Node) -> None:
    await sandbox.from_phone("image", b"photo")
    key = (await first(node))["media"]["media_key"]
    assert key not in json.dumps(await sandbox.messages())


async def test_a_file_is_named_by_its_bytes(sandbox: Sandbox) -> None:
    data = b"x" * 3_000_000
    assert await sandbox.give(data) == await sandbox.give(data) == hashlib.sha256(data).hexdigest()
