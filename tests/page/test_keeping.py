"""What is kept where, and for how long: P14 to P16, P18 and P19."""

from pathlib import Path

import pytest

from satchel.testing.world import World

from ..postprocess.pictures import HARBOUR, pixels
from .conftest import Api, Json


def on_server(api: Api, whatsapp: World, number: str) -> tuple[int, bytes]:
    """The newest media of a phone as it lies on the server; 0 where the server keeps it no more."""
    sandbox = whatsapp.server.sandbox_url
    media: Json = api.http.get(f"{sandbox}/sandbox/phones/{number}/messages/latest/envelope").json()["media"]
    answer = api.http.get(sandbox + media["direct_path"])
    return (answer.status_code, answer.content) if answer.is_success else (0, b"")


def test_p14_the_server_has_it_encrypted_and_keeps_it_14_days(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone(auto_download=False)
    api.send(phone.number, "document", id=api.upload(HARBOUR, "application/x-harbour"))
    phone.wait_for("document")
    status, blob = on_server(api, whatsapp, phone.number)
    assert (status, len(blob) > len(HARBOUR), HARBOUR[:64] in blob) == (200, True, False)
    whatsapp.clock.advance(days=13, hours=23)
    assert on_server(api, whatsapp, phone.number)[0] == 200
    whatsapp.clock.advance(hours=2)
    assert on_server(api, whatsapp, phone.number)[0] == 0


def test_p14_the_14_days_count_from_each_send(api: Api, whatsapp: World) -> None:
    phone, other = whatsapp.phone(auto_download=False), whatsapp.phone(auto_download=False)
    media_id = api.upload(HARBOUR, "image/jpeg")
    for one in (phone, other):
        api.send(one.number, "image", id=media_id)
        one.wait_for("image")
        whatsapp.clock.advance(days=10)
    assert on_server(api, whatsapp, phone.number)[0] == 200
    assert phone.messages[0].download().state == "downloaded"


def test_p15_who_asks_after_the_14_days_gets_the_same_file(api: Api, whatsapp: World) -> None:
    soon, late = whatsapp.phone(), whatsapp.phone(auto_download=False)
    media_id = api.upload(HARBOUR, "image/jpeg")
    for number in (soon.number, late.number):
        api.send(number, "image", id=media_id)
    fetched, photo = soon.wait_for("image").bytes, late.wait_for("image")
    whatsapp.clock.advance(days=15)
    assert (photo.download().state, photo.bytes) == ("downloaded", fetched)


@pytest.mark.parametrize("how", ["through the API", "by hand"])
def test_p15_who_asks_for_what_is_gone_is_told_that_it_is_unavailable(api: Api, whatsapp: World, how: str) -> None:
    phone = whatsapp.phone(auto_download=False)
    media_id = api.upload(HARBOUR, "image/jpeg")
    api.send(phone.number, "image", id=media_id)
    photo = phone.wait_for("image")
    whatsapp.clock.advance(days=15)
    if how == "by hand":
        api.file(media_id).unlink()
    else:
        whatsapp.media.delete(media_id)
    assert photo.download().state == "unavailable"


def test_p16_delivered_and_read_do_not_mean_downloaded(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone(auto_download=False)
    with whatsapp.expect_webhook("statuses", status="read"):
        api.send(phone.number, "image", id=api.upload(HARBOUR, "image/jpeg"))
        with phone.opened():
            pass
    assert [one.json["statuses"][0]["status"] for one in whatsapp.webhooks][-2:] == ["delivered", "read"]
    assert phone.messages[0].state == "not_downloaded"


def test_p16_a_media_that_is_kept_can_be_sent_again_at_any_time(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone()
    media_id = api.upload(HARBOUR, "image/jpeg")
    for days in (15, 40, 300):
        api.send(phone.number, "image", id=media_id)
        assert pixels(phone.wait_for("image").bytes) == pixels(HARBOUR)
        whatsapp.clock.advance(days=days)


def test_p16_gc_deletes_what_was_not_used_for_30_days(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone()
    unused, used = (api.upload(HARBOUR, "image/jpeg") for _ in range(2))
    whatsapp.clock.advance(days=29)
    api.send(phone.number, "image", id=used)
    phone.wait_for("image")
    whatsapp.clock.advance(days=2)
    with whatsapp.expect_webhook("services", timeout=20) as hook:
        assert api.http.put("/v1/services/media/gc").status_code == 200
    assert hook.json["services"][0]["media"]["gc"]["status"] == "complete"
    assert [api.http.get(f"/v1/media/{one}").status_code for one in (unused, used)] == [404, 200]


def test_p18_nothing_is_cleaned_up_by_itself(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone()
    sent, unsent = (api.upload(HARBOUR, "image/jpeg") for _ in range(2))
    api.send(phone.number, "image", id=sent)
    phone.wait_for("image")
    whatsapp.clock.advance(days=400)
    assert [api.file(one).read_bytes() == HARBOUR for one in (sent, unsent)] == [True, True]


def test_p18_files_may_be_deleted_directly(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone()
    gone, kept = (api.upload(HARBOUR, "image/jpeg") for _ in range(2))
    api.file(gone).unlink()
    answer = api.http.get(f"/v1/media/{gone}")
    assert (answer.status_code, answer.content) == (404, b"")
    refused = api.post(phone.number, "image", id=gone)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (404, 1006)
    api.send(phone.number, "image", id=kept)
    assert phone.wait_for("image").state == "downloaded"


def test_p19_what_was_received_is_seen_by_ls(api: Api, whatsapp: World) -> None:
    ours = api.upload(HARBOUR, "image/jpeg")
    with whatsapp.expect_webhook("messages", type="document") as hook:
        whatsapp.phone().send("document", b"my receipt", filename="receipt.txt", mime="text/plain")
    document = hook.json["messages"][0]["document"]
    file = Path(document["file"])
    assert {ours, document["id"]} <= {path.name for path in file.parent.iterdir()}
    assert (file.parent.name, file.read_bytes()) == ("shared", b"my receipt")
    assert api.http.get(f"/v1/media/{document['id']}").content == b"my receipt"
