"""The /sandbox/... API: numbers, waiting, the clock, the reset."""

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from .crypt import plaintext, seal
from .node import Node, listening
from .running import PHONE, Sandbox, envelope, running, until

pytestmark = pytest.mark.anyio


async def test_number_forms(sandbox: Sandbox) -> None:
    await sandbox.send(envelope("m", None))
    for form in (PHONE, "+1 (202) 555-0111", "1.202.555.0111", "+1-202-555-0111"):
        assert [m["id"] for m in await sandbox.messages(number=quote(form, safe=""))] == ["m"], form


async def test_no_numbers(sandbox: Sandbox) -> None:
    for form in ("123456", "1234567890123456", "abc", "1202555011a", "١٢٠٢٥٥٥٠١١١"):
        for path in ("messages", "messages/latest/media"):
            status, refusal = await sandbox.call("GET", f"/sandbox/phones/{form}/{path}")
            assert (status, refusal["error"]) == (400, "invalid_number"), form


async def test_an_unknown_phone_is_empty(sandbox: Sandbox) -> None:
    assert await sandbox.call("GET", "/sandbox/phones/12025550199/messages") == (200, {"messages": []})
    assert await sandbox.call("GET", "/sandbox/phones") == (200, {"phones": []})
    assert (await sandbox.call("GET", "/sandbox/phones/12025550199/messages/latest/envelope"))[0] == 404


async def test_phones_and_order(sandbox: Sandbox) -> None:
    for n in range(5):
        await sandbox.send(envelope(f"m{n}", None))
    await sandbox.send(envelope("other", None, to="12025550112"))
    assert await sandbox.messages(number="12025550112")
    assert [m["id"] for m in await sandbox.messages()] == [f"m{n}" for n in range(5)]
    assert [m["id"] for m in await sandbox.messages(after="m2")] == ["m3", "m4"]
    _, found = await sandbox.call("GET", "/sandbox/phones")
    assert [(phone["number"], phone["messages"]) for phone in found["phones"]] == [(PHONE, 5), ("12025550112", 1)]
    status, refusal = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages?after=nothing")
    assert (status, refusal["error"]) == (404, "unknown_message")


async def test_wait_ends_with_the_message(sandbox: Sandbox) -> None:
    waiting = asyncio.create_task(sandbox.messages("30s"))
    await asyncio.sleep(0.02)  # let the request reach the sandbox; the test holds without it
    await sandbox.deliver("first", seal(plaintext(500_000)))
    (shown,) = await waiting
    assert (shown["id"], shown["media"]["state"]) == ("first", "downloaded")
    later = asyncio.create_task(sandbox.messages("30s", after="first"))
    await asyncio.sleep(0.02)
    await sandbox.send(envelope("second", None))
    assert [m["id"] for m in await later] == ["second"]


async def test_wait_ends_with_the_time(sandbox: Sandbox) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await sandbox.messages("150ms") == []
    assert 0.14 < loop.time() - began < 2
    assert await sandbox.messages("0.01") == []
    for wrong in ("soon", "-1s", "1s1", ""):
        status, refusal = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages", params={"wait": wrong})
        assert (status, refusal["error"]) == (400, "invalid_wait")


async def test_media_of_a_text(sandbox: Sandbox) -> None:
    await sandbox.send(envelope("t", None))
    await sandbox.messages()
    status, refusal = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages/t/media")
    assert (status, refusal["error"]) == (404, "no_media")


async def test_clock(sandbox: Sandbox, node: Node) -> None:
    _, before = await sandbox.call("GET", "/sandbox/clock")
    assert before["offset"] == 0.0
    status, after = await sandbox.call("PUT", "/sandbox/clock", json={"advance": "15d"})
    assert (status, after["offset"]) == (200, 15 * 86400.0)
    assert after["now"] > before["now"]
    assert node.events[-1]["kind"] == "state"  # the answer came after the node had it
    assert node.events[-1]["offset"] == 15 * 86400.0
    for wrong in ("-1d", "0s", "soon", "1w", "99999999d"):
        status, refusal = await sandbox.call("PUT", "/sandbox/clock", json={"advance": wrong})
        assert (status, refusal["error"]) == (400, "invalid")
    assert (await sandbox.call("PUT", "/sandbox/clock", data=b"[]"))[0] == 400
    _, state = await sandbox.call("GET", "/wire/state", headers=sandbox.authorization)
    assert state["offset"] == 15 * 86400.0


async def test_reset(tmp_path: Path) -> None:
    async with listening() as node, running(node.url, tmp_path) as sandbox:
        _, old = await sandbox.call("GET", "/wire/state", headers=sandbox.authorization)
        message = await sandbox.deliver("m", seal(plaintext(100_000)))
        await sandbox.messages()
        await sandbox.call("PUT", "/sandbox/clock", json={"advance": "1h"})
        began = asyncio.get_running_loop().time()
        status, new = await sandbox.call("POST", "/sandbox/reset")
        assert status == 200
        assert asyncio.get_running_loop().time() - began < 1
        assert new["world"] != old["world"]
        last = json.loads(node.posts[-1].body)
        assert (last["world"], [event["kind"] for event in last["events"]]) == (new["world"], ["state"])
        assert await sandbox.call("GET", "/sandbox/phones") == (200, {"phones": []})
        assert (await sandbox.call("GET", "/sandbox/clock"))[1]["offset"] == 0.0
        assert (await sandbox.bytes(message["media"]["direct_path"]))[0] == 404
        await until(lambda: not [file for file in tmp_path.rglob("*") if file.is_file() and file.parent != tmp_path])
        status, refusal = await sandbox.send({**message, "world": old["world"]})
        assert (status, refusal["error"]) == (409, "wrong_world")
        await sandbox.deliver("m")  # the same id is free again
        assert [m["id"] for m in await sandbox.messages()] == ["m"]


async def test_reset_in_the_middle_of_work(tmp_path: Path) -> None:
    async with listening() as node, running(node.url, tmp_path) as sandbox:
        big = seal(plaintext(64) * 300_000)
        await sandbox.deliver("big", big)
        uploads = [asyncio.create_task(sandbox.upload(seal(plaintext(64) * 50_000 + bytes([n])))) for n in range(4)]
        _, new = await sandbox.call("POST", "/sandbox/reset")
        for status, answer in await asyncio.gather(*uploads):
            assert status == 503 or new["world"] in answer["direct_path"]
        assert await sandbox.messages("100ms") == []
        await until(lambda: {folder.name for kind in ("phones", "vault") for folder in (tmp_path / kind).iterdir()} == {new["world"]})
        assert not list(tmp_path.rglob("*.part"))


async def test_a_restart_remembers(node: Node, tmp_path: Path) -> None:
    sealed = seal(plaintext(5000))
    async with running(node.url, tmp_path) as sandbox:
        _, before = await sandbox.call("GET", "/wire/state", headers=sandbox.authorization)
        message = await sandbox.deliver("m", sealed)
        await sandbox.messages()
        await sandbox.call("PUT", "/sandbox/clock", json={"advance": "13d"})
    async with running(node.url, tmp_path) as sandbox:
        _, after = await sandbox.call("GET", "/wire/state", headers=sandbox.authorization)
        assert (after["world"], after["offset"]) == (before["world"], 13 * 86400.0)
        assert (await sandbox.bytes(message["media"]["direct_path"]))[2] == sealed.blob
        assert [m["media"]["state"] for m in await sandbox.messages("0s")] == ["downloaded"]


async def test_an_encrypted_blob_removed_by_hand(node: Node, tmp_path: Path) -> None:
    sealed = seal(plaintext(5000))
    async with running(node.url, tmp_path, patience=0.1) as sandbox:
        _, copy = await sandbox.upload(sealed)
        (file,) = tmp_path.glob("vault/*/*.enc")
        file.unlink()
        assert (await sandbox.bytes(copy["direct_path"]))[0] == 404
        await sandbox.send(envelope("lost", sealed.media(copy["direct_path"])))
        assert (await sandbox.messages())[0]["media"]["state"] == "unavailable"
        assert await sandbox.upload(sealed, "?resume=1", data=b"") == (200, {"resume": "0"})
        _, again = await sandbox.upload(sealed)
        assert again["direct_path"] == copy["direct_path"]
        assert (await sandbox.bytes(copy["direct_path"]))[2] == sealed.blob


async def test_reset_while_the_node_is_down(unused_node: str) -> None:
    async with running(unused_node) as sandbox:
        began = asyncio.get_running_loop().time()
        status, _ = await sandbox.call("POST", "/sandbox/reset")
        assert status == 200
        assert 1.9 < asyncio.get_running_loop().time() - began < 4


async def test_unknown_paths_are_json(sandbox: Sandbox) -> None:
    status, refusal = await sandbox.call("GET", "/sandbox/nothing")
    assert (status, refusal["error"]) == (404, "not_found")
    status, refusal = await sandbox.call("DELETE", "/sandbox/reset")
    assert (status, refusal["error"]) == (405, "method_not_allowed")
