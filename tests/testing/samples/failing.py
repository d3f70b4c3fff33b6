"""Tests that fail, for what they print."""

from pathlib import Path

from satchel.testing.world import World

PHOTO = Path(__file__).with_name("harbour.jpg")


def test_another_type_came(whatsapp: World) -> None:
    phone = whatsapp.phone("12025550112")
    with whatsapp.expect_webhook("statuses", status="failed"):
        whatsapp.node.send.image(phone.number, whatsapp.media.upload(PHOTO), caption="The harbour")
        whatsapp.node.send.image(phone.number, whatsapp.media.upload(b"no picture", "image/jpeg"))
    whatsapp.node.send.document("12025550113", whatsapp.media.upload(PHOTO))
    phone.wait_for("image")
    phone.wait_for("document", timeout=0.3)


def test_three_are_no_album(whatsapp: World) -> None:
    phone = whatsapp.phone()
    media = whatsapp.media.upload(PHOTO)
    for _ in range(3):
        whatsapp.node.send.image(phone.number, media)
    with phone.opened() as chat:
        chat.expect(["date", "unread", ("album", 3)], timeout=0.2)


def test_sent_is_not_announced(whatsapp: World) -> None:
    with whatsapp.expect_webhook("statuses", status="sent", timeout=0.5):
        whatsapp.node.send.text(whatsapp.phone().number, "hello").wait("delivered")


def test_a_plain_assertion(whatsapp: World) -> None:
    with whatsapp.expect_webhook("statuses", status="delivered"):
        whatsapp.node.send.text(whatsapp.phone().number, "hello there")
    assert whatsapp.webhooks == []
