"""Phones: their rows, what one can do with them, and what the business hears of it."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from .crypt import plaintext, seal
from .node import Node, listening
from .running import BUSINESS, PHONE, SECRET, Sandbox, address, process, running

pytestmark = pytest.mark.anyio
OTHER = "12025550112"
USUAL = {
    "number": PHONE,
    "name": PHONE,
    "system": "android",
    "locale": "en",
    "timezone": "UTC",
    "online": True,
    "auto_download": True,
    "read_receipts": True,
    "blocked": False,
    "chat": None,
}


# Rows


async def test_a_number_becomes_a_phone_with_its_first_message(sandbox: Sandbox) -> None:
    assert (await sandbox.call("GET", f"/sandbox/phones/{PHONE}"))[1]["error"] == "unknown_phone"
    await sandbox.text("m")
    assert await sandbox.call("GET", f"/sandbox/phones/{PHONE}") == (200, {**USUAL, "messages": 1, "waiting": 0})


async def test_add_change_delete(sandbox: Sandbox) -> None:
    given = {
        "number": "+1 202-555-0112",
        "name": "Ji-woo",
        "system": "iphone",
        "locale": "ko-KR",
        "timezone": "Asia/Seoul",
        "online": False,
    }
    status, added = await sandbox.call("POST", "/sandbox/phones", json={"number": "+1 202-555-0112", **given})
    assert (status, added) == (201, {**USUAL, **given, "number": OTHER, "messages": 0, "waiting": 0})
    status, refusal = await sandbox.call("POST", "/sandbox/phones", json={"number": OTHER})
    assert (status, refusal["error"]) == (409, "phone_exists")
    changed = await sandbox.phone(OTHER, name="Jiwoo", read_receipts=False, online=True)
    assert (changed["name"], changed["read_receipts"], changed["online"], changed["system"]) == ("Jiwoo", False, True, "iphone")
    async with sandbox.session.delete(f"{sandbox.url}/sandbox/phones/{OTHER}") as answer:
        assert answer.status == 204
    async with sandbox.session.delete(f"{sandbox.url}/sandbox/phones/{OTHER}") as answer:
        assert answer.status == 404


async def test_a_phone_without_a_number_gets_a_free_one(sandbox: Sandbox) -> None:
    await sandbox.text("m", to="12025550111")
    added = [(await sandbox.call("POST", "/sandbox/phones"))[1]["number"] for _ in range(2)]
    assert added == ["12025550112", "12025550113"]


WRONG = [
    {"system": "symbian"},
    {"timezone": "Mars/Olympus"},
    {"timezone": "../etc/passwd"},
    {"online": "yes"},
    {"nmae": "x"},
    {"locale": "?"},
]


async def test_wrong_changes(sandbox: Sandbox) -> None:
    for wrong in [*WRONG, {"name": ""}, {"locale": "?"}]:
        status, refusal = await sandbox.call("PATCH", f"/sandbox/phones/{PHONE}", json=wrong)
        assert (status, refusal["error"]) == (400, "invalid"), wrong
    for body in (b"[]", b"\xff", b"[" * 100_000):
        assert (await sandbox.call("PATCH", f"/sandbox/phones/{PHONE}", data=body))[0] == 400
    assert await sandbox.call("GET", "/sandbox/phones") == (200, {"phones": []})


async def test_a_deleted_phone_keeps_nothing_and_its_messages_do_not_come_again(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        message = await sandbox.deliver("m")
        await sandbox.messages()
        async with sandbox.session.delete(f"{sandbox.url}/sandbox/phones/{PHONE}") as answer:
            assert answer.status == 204
        assert [file for file in tmp_path.glob("phones/*/*") if file.is_file()] == []
        assert (await sandbox.send(message))[0] == 200
        assert await sandbox.messages("0s") == []
    database = b"".join(file.read_bytes() for file in tmp_path.glob("*.sqlite"))
    assert message["media"]["media_key"].encode() not in database


# Actions


async def test_unknown_actions(sandbox: Sandbox) -> None:
    assert await sandbox.refused("dance") == (400, "invalid")
    assert await sandbox.refused("offline", "m") == (400, "invalid")
    assert await sandbox.refused("read", "m") == (404, "unknown_message")


async def test_an_offline_phone_gets_everything_later_and_in_order(sandbox: Sandbox, node: Node) -> None:
    assert (await sandbox.act("offline"))["phone"]["online"] is False
    for n in range(30):
        await (sandbox.deliver(f"m{n}", seal(b"%d" % n)) if n % 3 == 0 else sandbox.text(f"m{n}"))
    assert await sandbox.messages("50ms") == []
    _, shown = await sandbox.call("GET", f"/sandbox/phones/{PHONE}")
    assert (shown["messages"], shown["waiting"]) == (0, 30)
    await node.until(lambda: all(node.statuses(f"m{n}") == ["sent"] for n in range(30)))
    await sandbox.act("online")
    await sandbox.text("last")
    await node.until(lambda: all(node.statuses(name) == ["sent", "delivered"] for name in ["last", *(f"m{n}" for n in range(30))]))
    assert [message["id"] for message in await sandbox.messages()] == [*(f"m{n}" for n in range(30)), "last"]
    delivered = [event["message"] for event in node.events if event.get("status") == "delivered"]
    assert delivered == [*(f"m{n}" for n in range(30)), "last"]


async def test_open_reads_everything_and_what_comes_while_it_is_open(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("before")
    assert (await sandbox.act("open"))["phone"]["chat"] == BUSINESS
    await sandbox.text("during")
    await sandbox.act("leave")
    await sandbox.text("after")
    await node.until(lambda: node.statuses("during") == ["sent", "delivered", "read"])
    await node.until(lambda: node.statuses("before") == ["sent", "delivered", "read"] and len(node.statuses("after")) == 2)
    assert [message["read"] for message in await sandbox.messages()] == [True, True, False]
    _, found = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/conversations")
    (conversation,) = found["conversations"]
    assert conversation == {"business": BUSINESS, "messages": 3, "unread": 1, "latest": "after", "open": False}


async def test_a_chat_can_be_open_before_anything_was_written(sandbox: Sandbox, node: Node) -> None:
    assert (await sandbox.act("open"))["phone"]["chat"] == "*"
    await sandbox.text("first")
    await node.until(lambda: node.statuses("first") == ["sent", "delivered", "read"])
    assert (await sandbox.call("GET", f"/sandbox/phones/{PHONE}"))[1]["chat"] == BUSINESS
    await sandbox.text("other", **{"from": "12025550155"})  # its chat is not the one that is open
    await node.until(lambda: len(node.statuses("other")) == 2)
    found = [
        (await sandbox.call("GET", f"/sandbox/phones/{PHONE}/conversations/{name}"))[1] for name in ("latest", BUSINESS, "12025550199")
    ]
    assert [one.get("business", one.get("error")) for one in found] == ["12025550155", BUSINESS, "unknown_conversation"]
    assert [one.get("open") for one in found] == [False, True, None]


async def test_without_read_receipts_nobody_hears_of_it(sandbox: Sandbox, node: Node) -> None:
    await sandbox.phone(read_receipts=False)
    await sandbox.text("m")
    assert (await sandbox.act("read", "latest"))["message"]["read"] is True
    await sandbox.phone(read_receipts=True)
    await sandbox.text("n")
    await sandbox.act("read")
    await sandbox.act("read")
    await node.until(lambda: node.statuses("n") == ["sent", "delivered", "read"])
    assert node.statuses("m") == ["sent", "delivered"]


async def test_play(sandbox: Sandbox, node: Node) -> None:
    await sandbox.deliver("song", seal(b"la la", "audio"))
    assert [message["played"] for message in await sandbox.messages()] == [False]
    played = (await sandbox.act("play"))["message"]
    assert (played["id"], played["played"], played["read"]) == ("song", True, True)
    await node.until(lambda: node.statuses("song") == ["sent", "delivered", "read"])
    await sandbox.deliver("picture")
    await sandbox.messages()
    assert await sandbox.refused("play") == (409, "not_playable")
    await sandbox.act("forget", "song")
    assert await sandbox.refused("play", "song") == (409, "not_downloaded")


async def test_auto_download_off(sandbox: Sandbox, node: Node) -> None:
    await sandbox.phone(auto_download=False)
    await sandbox.deliver("m")
    (shown,) = await sandbox.messages()
    assert shown["media"]["state"] == "not_downloaded"
    assert (await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/m/media"))[0] == 409
    assert (await sandbox.act("download", "latest"))["message"]["media"]["state"] == "downloaded"
    assert (await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/m/media"))[2] == b"plain bytes"
    await sandbox.text("t")
    assert await sandbox.refused("download", "t") == (404, "no_media")


async def test_forget_and_download_after_14_days(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path, patience=0.1) as sandbox:
        await sandbox.deliver("m")
        await sandbox.deliver("same", to=OTHER)
        await sandbox.messages()
        await sandbox.messages(number=OTHER)
        files = list(tmp_path.glob("phones/*/*"))
        assert len(files) == 1  # both phones have the same bytes, which lie there once
        assert (await sandbox.act("forget", "m"))["message"]["media"]["state"] == "not_downloaded"
        assert (await sandbox.bytes(f"/sandbox/phones/{OTHER}/messages/same/media"))[2] == b"plain bytes"
        await sandbox.act("forget", number=OTHER)
        assert list(tmp_path.glob("phones/*/*")) == []
        assert (await sandbox.act("download", "m"))["message"]["media"]["state"] == "downloaded"
        await sandbox.act("forget")
        await sandbox.advance("15d")
        gone = (await sandbox.act("download", "m"))["message"]["media"]
        assert (gone["state"], "has not answered" in gone["reason"]) == ("unavailable", True)
        status, _, body = await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/m/media")
        assert (status, json.loads(body)["details"].endswith("ask again with download.")) == (409, True)
        await sandbox.deliver("again", to=OTHER)  # which uploads the same bytes anew, at another address
        assert (await sandbox.act("download", "m"))["message"]["media"]["state"] == "unavailable"


async def test_offline_phones_do_nothing_the_network_hears_of(sandbox: Sandbox) -> None:
    await sandbox.text("m")
    await sandbox.act("offline")
    for do in ("open", "read", "play", "download"):
        assert await sandbox.refused(do) == (409, "offline"), do
    await sandbox.act("leave")
    await sandbox.act("forget")


async def test_block_and_unblock(sandbox: Sandbox, node: Node) -> None:
    await sandbox.act("offline")
    await sandbox.text("waiting")
    assert (await sandbox.act("block"))["phone"]["blocked"] is True
    await sandbox.act("online")
    lost = await sandbox.deliver("lost")
    await sandbox.act("unblock")
    await sandbox.text("after")
    assert [message["id"] for message in await sandbox.messages()] == ["after"]
    await node.until(lambda: node.statuses("after") == ["sent", "delivered"])
    assert node.statuses("waiting") == node.statuses("lost") == ["sent"]
    assert (await sandbox.send(lost))[0] == 200
    assert [message["id"] for message in await sandbox.messages("0s")] == ["after"]


# Picking messages


async def test_match(sandbox: Sandbox) -> None:
    await sandbox.text("t1", text="Your bill is ready")
    await sandbox.deliver("i1")
    await sandbox.text("t2", text="Thanks")
    template = {"name": "bill", "components": []}
    await sandbox.send({"id": "tpl", "to": PHONE, "from": BUSINESS, "type": "template", "template": template})
    await sandbox.messages()

    async def ids(*match: str, wait: str = "5s", after: str = "") -> list[str]:
        query = [("match", one) for one in match] + [("wait", wait)] + ([("after", after)] if after else [])
        status, found = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages", params=query)
        assert status == 200, found
        return [message["id"] for message in found["messages"]]

    assert await ids("type=image") == ["i1"]
    assert await ids("text=BILL") == ["t1", "tpl"]
    assert await ids("text=bill", "type=text") == ["t1"]
    assert await ids("state=downloaded") == ["i1"]
    assert await ids("type=video", wait="50ms") == []
    later = asyncio.create_task(ids("type=image", wait="30s", after="i1"))
    await asyncio.sleep(0.02)  # let it wait; the test holds without it
    await sandbox.text("t3")
    await sandbox.deliver("i2", seal(b"another"))
    assert await later == ["i2"]
    for wrong in ("type", "colour=red", "text="):
        status, refusal = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages", params={"match": wrong})
        assert (status, refusal["error"]) == (400, "invalid_match")


async def test_a_template_arrives_with_the_media_of_its_header(sandbox: Sandbox) -> None:
    sealed = seal(plaintext(4000), "document")
    _, copy = await sandbox.upload(sealed)
    message = {"id": "t", "to": PHONE, "from": BUSINESS, "type": "template", "template": {"name": "bill"}}
    assert (await sandbox.send({**message, "media": sealed.media(copy["direct_path"], "application/pdf")}))[0] == 200
    (shown,) = await sandbox.messages()
    assert (shown["type"], shown["template"], shown["media"]["state"]) == ("template", {"name": "bill"}, "downloaded")
    assert (await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/t/media"))[1:] == ("application/pdf", sealed.plain)


# What stays


async def test_a_kill_loses_no_phone_and_nothing_that_waits_for_one(node: Node, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", tmp_path, "--node", node.url)
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as one, aiohttp.ClientSession() as session:
        sandbox = Sandbox(session, await address(one))
        await sandbox.phone(name="Ji-woo", system="iphone", timezone="Asia/Seoul", online=False)
        for n in range(5):
            await sandbox.deliver(f"m{n}", seal(b"%d" % n))
        one.kill()
        await one.wait()
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as two, aiohttp.ClientSession() as session:
        sandbox = Sandbox(session, await address(two))
        _, phone = await sandbox.call("GET", f"/sandbox/phones/{PHONE}")
        assert (phone["name"], phone["online"], phone["waiting"]) == ("Ji-woo", False, 5)
        await sandbox.act("online")
        await node.until(lambda: all(node.statuses(f"m{n}") == ["sent", "delivered"] for n in range(5)))
        assert [message["id"] for message in await sandbox.messages()] == [f"m{n}" for n in range(5)]


async def test_no_key_outside_an_envelope(tmp_path: Path) -> None:
    async with listening() as node:
        arguments = ("--port", "0", "--data-dir", tmp_path, "--node", node.url)
        async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as one, aiohttp.ClientSession() as session:
            sandbox = Sandbox(session, await address(one))
            message = await sandbox.deliver("m")
            key = message["media"]["media_key"]
            await sandbox.deliver("bad", seal(b"x"), file_length=3)
            await sandbox.send({**message, "id": "wrong", "media": {**message["media"], "file_length": -1}})
            said = [str(await sandbox.call("GET", path)) for path in ("/sandbox/phones", "/sandbox/status")]
            said.append(str(await sandbox.messages()))
            assert key in str(await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages/m/envelope"))
            one.terminate()
            _, log = await one.communicate()
        assert all(key not in text for text in [*said, log.decode(), *map(str, tmp_path.rglob("*"))])


async def test_what_waits_when_the_server_ends_goes_on(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await sandbox.deliver("slow", to="12025550107")
    async with running(node.url, tmp_path) as sandbox:
        await sandbox.advance("1m")
        assert [message["media"]["state"] for message in await sandbox.messages(number="12025550107")] == ["downloaded"]
        await node.until(lambda: node.statuses("slow") == ["sent", "delivered"])
