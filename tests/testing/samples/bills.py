"""Tests of an integration as people write them. The integration knows an address and a token, and nothing of the kit."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from satchel.testing.aio import AsyncWorld
from satchel.testing.server import Server
from satchel.testing.world import World

PHOTO = Path(__file__).with_name("harbour.jpg").read_bytes()
TITLE = "10월 명세서: 사용 요금과 납부 기한, 그리고 자세한 내역"


def app(api: str, token: str, path: str, body: bytes, mime: str = "application/json") -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": mime}
    with urllib.request.urlopen(urllib.request.Request(api + path, body, headers)) as answer:
        return json.load(answer)


def send(whatsapp: World | AsyncWorld, to: str, type_: str, **more: str) -> str:
    media = app(whatsapp.url, whatsapp.token, "/v1/media", PHOTO, "image/jpeg")["media"][0]["id"]
    message = {"to": to, "type": type_, type_: {"id": media, **more}}
    return str(app(whatsapp.url, whatsapp.token, "/v1/messages", json.dumps(message).encode())["messages"][0]["id"])


def test_bill_reaches_customer(whatsapp: World) -> None:
    phone = whatsapp.phone("+1 202-555-0112", system="android", tz="Asia/Seoul")
    sent = send(whatsapp, phone.number, "document", caption=TITLE, filename="bill.jpg")
    bill = phone.wait_for("document", timeout=5)
    assert (bill.id, bill.caption, bill.state) == (sent, TITLE, "downloaded")
    assert str(bill.label).startswith("10월")
    assert bill.label_cut
    assert bill.bytes == PHOTO
    assert whatsapp.media.get(str(bill.media_id)) == PHOTO


def test_an_iphone_shows_all_of_it(whatsapp: World) -> None:
    phone = whatsapp.phone("+1 202-555-0112", system="iphone")
    send(whatsapp, phone.number, "document", caption=TITLE)
    bill = phone.wait_for("document")
    assert (bill.label, bill.label_cut) == (TITLE, False)


def test_album(whatsapp: World) -> None:
    phone = whatsapp.phone()
    for _ in range(6):
        send(whatsapp, phone.number, "image")
    with phone.opened() as chat:
        chat.expect(["date", ("unread", 6), ("album", 6)])
    assert len({phone.wait_for("image").id for _ in range(6)}) == 6


def test_webhook(whatsapp: World) -> None:
    phone = whatsapp.phone()
    with whatsapp.expect_webhook("statuses", status="delivered") as hook:
        sent = send(whatsapp, phone.number, "image")
    assert hook.json["statuses"][0]["id"] == sent
    with whatsapp.expect_webhook("statuses", id=sent, status="read"), phone.opened():
        pass
    assert [one.json["statuses"][0]["status"] for one in whatsapp.webhooks] == ["sent", "delivered", "read"]


def test_a_tap_fetches_what_was_not_fetched(whatsapp: World) -> None:
    phone = whatsapp.phone(auto_download=False)
    send(whatsapp, phone.number, "image")
    photo = phone.wait_for("image")
    assert photo.state == "not_downloaded"
    assert photo.download().state == "downloaded"
    assert photo.forget().state == "not_downloaded"


def test_the_clock_moves_without_sleeping(whatsapp: World) -> None:
    before = whatsapp.clock.now
    whatsapp.clock.advance(days=15)
    assert (whatsapp.clock.now - before).days == 15


def test_p14_p15_late_download(whatsapp: World) -> None:
    phone = whatsapp.phone(auto_download=False)
    send(whatsapp, phone.number, "image")
    photo = phone.wait_for("image")
    whatsapp.clock.advance(days=15)
    assert photo.download().state == "downloaded"
    whatsapp.media.delete(str(photo.media_id))
    photo.forget()
    whatsapp.clock.advance(days=15)
    assert photo.download().state == "unavailable"


def test_what_waits_for_a_phone_comes_when_it_is_back(whatsapp: World) -> None:
    phone = whatsapp.phone(online=False)
    send(whatsapp, phone.number, "image")
    phone.settle()
    assert phone.messages == []
    phone.online()
    assert phone.wait_for("image").state == "downloaded"


def test_coroutines(whatsapp_async: AsyncWorld) -> None:
    async def story() -> None:
        phone = await whatsapp_async.phone("+1 202-555-0112")
        async with whatsapp_async.expect_webhook("statuses", status="delivered"):
            await asyncio.to_thread(send, whatsapp_async, phone.number, "image", caption="hello")
        photo = await phone.wait_for("image", text="ell")
        assert photo.caption == "hello"
        assert await photo.state() == "downloaded"
        assert len(await photo.bytes()) > 1000
        async with phone.opened() as chat:
            await chat.expect(["date", "unread", ("image", "hello")])

    asyncio.run(story())


@pytest.fixture(scope="session")
def satchel_settings() -> dict[str, Any]:
    return {"volume.max_upload": "64MB", "application": {"webhooks": {"message": {"sent": True}}}}


def test_settings_of_a_module(whatsapp: World, satchel_server: Server) -> None:
    assert whatsapp.url == satchel_server.url
    with whatsapp.expect_webhook("statuses", status="sent"):
        send(whatsapp, whatsapp.phone().number, "image")


def test_a_customer_writes(whatsapp: World) -> None:
    phone = whatsapp.phone("+1 202-555-0112", name="Ada")
    with whatsapp.expect_webhook("messages", type="image") as hook:
        sent = phone.send("image", PHOTO, caption="my receipt")
    (message,) = hook.json["messages"]
    assert (message["id"], message["from"], message["image"]["caption"]) == (sent.id, phone.number, "my receipt")
    assert whatsapp.media.get(message["image"]["id"]) == PHOTO
