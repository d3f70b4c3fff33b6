"""Conversations through the control API: opened, left, and shown as blocks. The composer's own rules: `test_compose.py`."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from .crypt import plaintext, seal
from .node import Node
from .running import BUSINESS, PHONE, Json, Sandbox, running

pytestmark = pytest.mark.anyio


async def view(sandbox: Sandbox, number: str = PHONE, business: str = "latest", **query: str) -> Json:
    status, shown = await sandbox.call("GET", f"/sandbox/phones/{number}/conversations/{business}/blocks", params=query)
    assert status == 200, shown
    assert shown["view"] == 1
    return shown


async def blocks(sandbox: Sandbox, **query: str) -> list[Json]:
    shown: list[Json] = (await view(sandbox, **query))["blocks"]
    assert all(block["why"] for block in shown)
    return shown


def kinds(shown: list[Json]) -> list[Any]:
    """As a test would write it: an album with the number of its images, the divider with its count."""
    numbers = [block.get("count", len(block.get("items", []))) for block in shown]
    return [(block["kind"], number) if number else block["kind"] for block, number in zip(shown, numbers, strict=True)]


async def images(sandbox: Sandbox, *names: str) -> None:
    for name in names:
        await sandbox.deliver(name, seal(name.encode()))
    await sandbox.messages()


async def test_p23_an_album_of_six_with_what_a_test_needs(sandbox: Sandbox) -> None:
    await images(sandbox, *(f"m{n}" for n in range(6)))
    await sandbox.act("open")
    shown = await blocks(sandbox)
    assert kinds(shown) == ["date", ("unread", 6), ("album", 6)]
    assert shown[2]["more"] == 3
    first = shown[2]["items"][0]
    assert (first["id"], first["kind"], first["from"], first["ticks"]) == ("m0", "image", BUSINESS, "read")
    assert (first["media"]["state"], first["media"]["size"], first["media"]["mime_type"]) == ("downloaded", 2, "image/jpeg")
    assert (await sandbox.bytes(first["media"]["thumb"]))[2] == b"m0"


async def test_p24_looking_opens_nothing_and_shows_what_the_next_visit_would(sandbox: Sandbox) -> None:
    await images(sandbox, "a", "b", "c", "d")
    for _ in range(2):
        shown = await view(sandbox)
        assert (kinds(shown["blocks"]), shown["conversation"]["open"], shown["conversation"]["unread"]) == (
            ["date", ("unread", 4), ("album", 4)],
            False,
            4,
        )


async def test_p24_what_arrives_in_an_open_chat_is_grouped_at_the_next_visit(sandbox: Sandbox) -> None:
    await sandbox.act("open")
    await images(sandbox, "a", "b", "c", "d")
    assert kinds(await blocks(sandbox)) == ["date"] + ["image"] * 4
    await sandbox.act("open")  # which it is already
    assert kinds(await blocks(sandbox)) == ["date"] + ["image"] * 4
    await sandbox.act("leave")
    await sandbox.act("open")
    assert kinds(await blocks(sandbox)) == ["date", ("album", 4)]


async def test_p25_the_divider_splits_until_the_chat_is_left(sandbox: Sandbox) -> None:
    await images(sandbox, "a", "b")
    await sandbox.act("open")
    await sandbox.act("leave")
    await images(sandbox, "c", "d", "e")
    await sandbox.act("open")
    await sandbox.text("t")
    assert kinds(await blocks(sandbox)) == ["date", "image", "image", ("unread", 3), "image", "image", "image", "text"]
    await sandbox.act("leave")
    assert kinds(await blocks(sandbox)) == ["date", ("album", 5), "text"]


async def test_p25_date_headers_are_those_of_the_phones_time_zone(sandbox: Sandbox) -> None:
    _, clock = await sandbox.call("GET", "/sandbox/clock")
    day = clock["now"][:10]
    await sandbox.call("PUT", "/sandbox/clock", json={"now": f"{int(day[:4]) + 1}-06-01T14:59:00Z"})
    await images(sandbox, "a", "b")
    await sandbox.advance("2m")
    await images(sandbox, "c", "d")
    await sandbox.act("read")
    for zone, expected in (
        ("Asia/Seoul", ["date", "image", "image", "date", "image", "image"]),
        ("Europe/London", ["date", ("album", 4)]),
    ):
        await sandbox.phone(timezone=zone)
        assert kinds(await blocks(sandbox)) == expected, zone


async def test_p21_a_caption_is_shown_in_full_on_both(sandbox: Sandbox) -> None:
    caption = "The harbour, as it was on the first morning after the storm, seen from the quay."
    await sandbox.deliver("plain")
    message = await sandbox.deliver("m")
    await sandbox.send({**message, "id": "captioned", "caption": caption})
    await sandbox.messages()
    for system in ("android", "iphone"):
        *_, plain, shown = await blocks(sandbox, **{"as": system})
        assert ("caption" in plain, shown["caption"]) == (False, caption)


async def test_p22_a_documents_caption_replaces_its_file_name(sandbox: Sandbox) -> None:
    caption = "10월 이용 명세서입니다. 확인하시고 궁금한 점은 언제든지 문의해 주세요."
    sealed = seal(plaintext(3000), "document")
    message = await sandbox.deliver("named", sealed, mime_type="application/pdf")
    for name, members in (("both", {"caption": caption, "filename": "bill.pdf"}), ("file", {"filename": "bill.pdf"})):
        await sandbox.send({**message, "id": name, **members})
    await sandbox.messages()
    android, iphone = [(await blocks(sandbox, **{"as": system}))[-3:] for system in ("android", "iphone")]
    assert [block["label"] for block in iphone] == ["Untitled", caption, "bill.pdf"]
    assert [(block["label"], block["label_cut"]) for block in android] == [
        ("Untitled", False),
        (caption[:29] + "…", True),
        ("bill.pdf", False),
    ]
    assert all("caption" not in block and "text" not in block for block in android + iphone)
    assert all(block["label_cut"] is False for block in iphone)


async def test_the_system_is_the_phones_own_unless_asked(sandbox: Sandbox) -> None:
    await sandbox.text("t")
    assert (await view(sandbox))["system"] == "android"
    await sandbox.phone(system="iphone")
    assert [(await view(sandbox, **query))["system"] for query in ({}, {"as": "android"})] == ["iphone", "android"]
    path = f"/sandbox/phones/{PHONE}/conversations"
    status, refusal = await sandbox.call("GET", f"{path}/latest/blocks?as=symbian")
    assert (status, refusal["error"]) == (400, "invalid")
    status, refusal = await sandbox.call("GET", f"{path}/12025550199/blocks")
    assert (status, refusal["error"]) == (404, "unknown_conversation")
    assert (await sandbox.call("GET", "/sandbox/phones/12025550198/conversations/latest/blocks"))[0] == 404
    assert [phone["number"] for phone in (await sandbox.call("GET", "/sandbox/phones"))[1]["phones"]] == [PHONE]


async def test_conversations_are_apart(sandbox: Sandbox) -> None:
    await sandbox.text("mine")
    await sandbox.text("theirs", **{"from": "12025550155"})
    assert [block["id"] for block in (await view(sandbox))["blocks"][2:]] == ["theirs"]
    assert [block["id"] for block in (await view(sandbox, business=BUSINESS))["blocks"][2:]] == ["mine"]


async def test_media_states_and_ticks(sandbox: Sandbox) -> None:
    await sandbox.phone(auto_download=False)
    await sandbox.deliver("song", seal(b"la la", "audio"), mime_type="audio/mpeg")
    await sandbox.deliver("note", seal(b"hm hm", "audio"), mime_type="audio/ogg; codecs=opus", waveform=[0, 50, 100, 50] * 16)
    *_, song, note = await blocks(sandbox)
    assert (song["kind"], note["kind"], note["waveform"][:4]) == ("audio", "voice", [0, 50, 100, 50])
    assert (song["media"]["state"], song["ticks"], "thumb" in song["media"]) == ("not_downloaded", "delivered", False)
    await sandbox.act("download")
    await sandbox.messages()
    await sandbox.act("read", "song")
    await sandbox.act("play", "note")
    *_, song, note = await blocks(sandbox)
    assert [(one["media"]["state"], one["ticks"]) for one in (song, note)] == [("downloaded", "read"), ("downloaded", "played")]
    await sandbox.act("forget")
    ends = note["media"]["expires_at"]
    await sandbox.advance("15d")
    assert (await sandbox.act("download", "note", wait="1s"))["message"]["media"]["state"] == "requesting"
    *_, note = await blocks(sandbox)
    assert (note["media"]["state"], note["media"]["expires_at"], "14 days" in note["media"]["reason"]) == ("requesting", ends, True)


async def test_a_template_and_a_sticker(sandbox: Sandbox) -> None:
    await sandbox.send({"id": "t", "to": PHONE, "from": BUSINESS, "type": "template", "template": {"name": "bill"}})
    await sandbox.deliver("s", seal(b"webp", "sticker"), mime_type="image/webp")
    await sandbox.messages()
    *_, template, sticker = await blocks(sandbox)
    assert (template["kind"], template["label"], sticker["kind"]) == ("template", "bill", "sticker")


async def test_a_waveform_of_another_form_is_refused(sandbox: Sandbox) -> None:
    message = await sandbox.deliver("m", seal(b"hm", "audio"), mime_type="audio/ogg")
    for waveform in ([1] * 63, [101] * 64, "x"):
        status, refusal = await sandbox.send({**message, "id": "n", "media": {**message["media"], "waveform": waveform}})
        assert (status, refusal["error"]) == (400, "invalid")


async def test_no_key_in_a_block(sandbox: Sandbox) -> None:
    message = await sandbox.deliver("m")
    assert message["media"]["media_key"] not in str(await view(sandbox))


@pytest.mark.parametrize("how", ["stay", "leave", "delete", "reset"])
async def test_a_visit_that_is_over_leaves_nothing(node: Node, tmp_path: Path, how: str) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await images(sandbox, "a")
        await sandbox.act("open")
        if how == "leave":
            await sandbox.act("leave")
        elif how != "stay":
            call = ("DELETE", f"/sandbox/phones/{PHONE}") if how == "delete" else ("POST", "/sandbox/reset")
            async with sandbox.session.request(call[0], sandbox.url + call[1]) as answer:
                assert answer.status in (200, 204)
    with contextlib.closing(sqlite3.connect(tmp_path / "sandbox.sqlite")) as rows:
        assert rows.execute("SELECT phone FROM visit").fetchall() == ([(PHONE,)] if how == "stay" else [])


async def test_p24_an_open_chat_stays_as_it_was_opened_over_a_restart(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await images(sandbox, "a", "b")
        await sandbox.act("open")
        await images(sandbox, "c", "d")
        before = await view(sandbox)
    async with running(node.url, tmp_path) as sandbox:
        assert await view(sandbox) == before
        assert kinds(before["blocks"]) == ["date", ("unread", 2), "image", "image", "image", "image"]


async def test_a_chat_that_is_open_when_another_is_opened_is_left(sandbox: Sandbox) -> None:
    await images(sandbox, "a", "b")
    await sandbox.act("open")
    await images(sandbox, "c", "d")
    await sandbox.text("other", **{"from": "12025550155"})
    await sandbox.act("open")
    _, found = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/conversations")
    assert [(one["business"], one["open"]) for one in found["conversations"]] == [("12025550155", True), (BUSINESS, False)]
    assert kinds((await view(sandbox, business=BUSINESS))["blocks"]) == ["date", ("album", 4)]


async def test_what_a_phone_sent_stands_in_its_conversation_and_splits_a_run(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await images(sandbox, "a", "b", "mine", "c", "d")
        await sandbox.act("read")
    with contextlib.closing(sqlite3.connect(tmp_path / "sandbox.sqlite")) as rows, rows:
        turned = "json_set(CAST(envelope AS TEXT), '$.from', phone, '$.to', sender)"
        rows.execute(f"UPDATE message SET envelope = CAST({turned} AS BLOB) WHERE id = 'mine'")
    async with running(node.url, tmp_path) as sandbox:
        shown = await blocks(sandbox)
        assert kinds(shown) == ["date"] + ["image"] * 5
        assert [(block["from"], block["ticks"]) for block in shown[2:5]] == [(BUSINESS, "read"), (PHONE, "sent"), (BUSINESS, "read")]
