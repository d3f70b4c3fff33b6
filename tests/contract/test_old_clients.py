"""Habits of old clients that show only over time, through the network or in callbacks: C15, C16 and C18 to C22."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from satchel.testing.world import World

from ..conftest import PHOTO
from ..postprocess.recordings import made

UNKNOWN = "12025550103"
KNOWN_STATUSES = {"sending", "sent", "delivered", "read", "failed", "deleted"}
VOICE = "audio/ogg; codecs=opus"


def voice() -> bytes:
    return made("ogg", "", "libopus", hertz=48000)


def told(whatsapp: World, kind: str) -> list[dict[str, Any]]:
    return [one for callback in whatsapp.webhooks for one in callback.json.get(kind, [])]


def test_c15_numbers_come_back_as_they_were_given(whatsapp: World) -> None:
    asked = ["+1 (202) 555-0111", UNKNOWN, "the ferry"]
    answers = whatsapp.node.contacts.check(asked)
    assert [(one.input, one.status, one.wa_id) for one in answers] == [
        (asked[0], "valid", "12025550111"),
        (asked[1], "invalid", None),
        (asked[2], "invalid", None),
    ]
    assert {one.status for one in whatsapp.node.contacts.check(["+12025550119"], blocking=False)} <= {"valid", "processing"}


def test_c16_an_id_can_be_sent_for_as_long_as_clients_remember_it(whatsapp: World) -> None:
    phone, media = whatsapp.phone(), whatsapp.media.upload(PHOTO)
    for _ in range(3):
        whatsapp.node.send.image(phone.number, media).wait()
        assert phone.wait_for("image").state == "downloaded"
        whatsapp.clock.advance(hours=25)


def test_c18_the_type_of_a_callback_is_application_json_and_no_more(whatsapp: World) -> None:
    with whatsapp.expect_webhook("statuses", status="delivered"):
        whatsapp.node.send.text(whatsapp.phone().number, "hello")
    assert {callback.headers["content-type"] for callback in whatsapp.webhooks} == {"application/json"}


def test_c19_each_body_tells_one_status(whatsapp: World) -> None:
    phone, media = whatsapp.phone(), whatsapp.media.upload(PHOTO)
    sent = [whatsapp.node.send.image(phone.number, media).wait() for _ in range(3)]
    with whatsapp.expect_webhook("statuses", id=sent[-1].id, status="read"), phone.opened():
        pass
    assert [(list(callback.json), len(callback.json["statuses"])) for callback in whatsapp.webhooks] == [(["statuses"], 1)] * 6


def test_c19_each_body_tells_one_message(whatsapp: World) -> None:
    phone = whatsapp.phone(name="Ada")
    sent = [phone.send("text", text=text).id for text in ("one", "two", "three")]
    with whatsapp.expect_webhook("messages", type="image"):
        sent.append(phone.send("image", PHOTO).id)
    bodies = [callback.json for callback in whatsapp.webhooks]
    assert [(sorted(body), len(body["messages"])) for body in bodies] == [(["contacts", "messages"], 1)] * 4
    assert [body["messages"][0]["id"] for body in bodies] == sent


MEDIA = {
    "image": (PHOTO.read_bytes, {"caption": "The harbour"}),
    "document": (lambda: b"1;2;3", {"caption": "The list", "filename": "list.csv", "mime": "text/csv"}),
    "voice": (voice, {"mime": VOICE}),
    "audio": (lambda: made("adts", "", "aac"), {"mime": "audio/aac"}),
    "video": (lambda: made("mp4", "libx264", "aac"), {"mime": "video/mp4"}),
}


@pytest.mark.parametrize("type_", MEDIA)
def test_c20_a_received_media_has_what_clients_read(whatsapp: World, type_: str) -> None:
    make, given = MEDIA[type_]
    phone = whatsapp.phone(name="Ada")
    with whatsapp.expect_webhook("messages", type=type_) as hook:
        phone.send(type_, make(), **given)
    (message,), (contact,) = hook.json["messages"], hook.json["contacts"]
    media = message[type_]
    assert (message["from"], message["timestamp"].isdigit()) == (phone.number, True)
    assert contact == {"profile": {"name": "Ada"}, "wa_id": phone.number}
    assert (Path(media["file"]).name, Path(media["file"]).read_bytes()) == (media["id"], make())
    assert media["sha256"] == hashlib.sha256(make()).hexdigest()
    assert media["mime_type"] == given.get("mime", "image/jpeg")
    assert {name: media[name] for name in ("caption", "filename") if name in given} == {k: v for k, v in given.items() if k != "mime"}


def test_c21_a_media_that_was_not_fetched_says_so_and_has_an_id_and_no_file(whatsapp: World) -> None:
    whatsapp.node.settings.change(media={"auto_download": []})
    with whatsapp.expect_webhook("messages", type="image") as hook:
        whatsapp.phone().send("image", PHOTO)
    image = hook.json["messages"][0]["image"]
    assert (image["status"], bool(image["id"]), "file" in image) == ("undownloaded", True, False)


def test_c22_no_status_comes_that_clients_do_not_know(whatsapp: World) -> None:
    whatsapp.node.settings.change(webhooks={"message": {"sent": True, "delivered": True, "read": True}})
    phone = whatsapp.phone()
    with whatsapp.expect_webhook("statuses", status="failed"):
        whatsapp.node.send.image(phone.number, whatsapp.media.upload(b"no picture", "image/jpeg"))
    sent = whatsapp.node.send.audio(phone.number, whatsapp.media.upload(voice(), VOICE)).wait()
    with whatsapp.expect_webhook("statuses", id=sent.id, status="read"), phone.opened():
        phone.wait_for("audio").play()
    with whatsapp.expect_webhook("statuses", status="delivered"):  # whatever playing had caused would be told before
        whatsapp.node.send.text(phone.number, "the end")
    assert {status["status"] for status in told(whatsapp, "statuses")} == {"sent", "delivered", "read", "failed"} < KNOWN_STATUSES
