"""What a message may bring: a link in place of an upload, and no bytes of its own. P06 and P12."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from satchel.testing.world import World

from ..postprocess.pictures import HARBOUR, pixels
from .conftest import Api
from .web import serving

INLINE = base64.b64encode(HARBOUR).decode()


def test_p06_a_message_may_carry_a_link_in_place_of_an_upload(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone()
    with serving(photo=("image/jpeg", HARBOUR, "")) as web:
        api.send(phone.number, "image", link=web.url("/photo"), caption="The harbour")
        photo = phone.wait_for("image")
    assert (photo.caption, pixels(photo.bytes)) == ("The harbour", pixels(HARBOUR))
    assert web.asked == [("/photo", None)]


def test_p06_a_provider_is_who_lets_us_in(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone()
    provider = {"name": "warehouse", "type": "www", "config": {"bearer": "open-sesame"}}
    assert api.http.post("/v1/settings/application/media/providers", json=[provider]).status_code == 200
    with serving(bill=("application/pdf", b"%PDF-1.4 bill", "Bearer open-sesame")) as web:
        assert "401" in api.refused("document", link=web.url("/bill"))["details"]
        api.send(phone.number, "document", link=web.url("/bill"), provider={"name": "warehouse"}, filename="bill.pdf")
        assert phone.wait_for("document").bytes == b"%PDF-1.4 bill"


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.1.2.3]"])
def test_p06_a_link_leads_to_no_private_address(api: Api, host: str) -> None:
    error = api.refused("image", link=f"http://{host}/photo.jpg")
    assert (error["code"], "not public" in error["details"]) == (1014, True)


NO_BYTES: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({}, 1008),
    "bytes as text": ({"data": INLINE}, 1008),
    "bytes under another name": ({"body": INLINE, "mime_type": "image/jpeg"}, 1008),
    "a link that holds the bytes": ({"link": f"data:image/jpeg;base64,{INLINE}"}, 1009),
}


@pytest.mark.parametrize("what", NO_BYTES)
def test_p12_a_message_brings_no_bytes(api: Api, what: str) -> None:
    media, code = NO_BYTES[what]
    answer = api.post("12025550111", "image", **media)
    assert (answer.status_code, [error["code"] for error in answer.json()["errors"]]) == (400, [code])


def test_p12_an_upload_in_pieces_with_an_end_is_no_stream(api: Api, whatsapp: World) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (HARBOUR[at : at + 10_000] for at in range(0, len(HARBOUR), 10_000))

    phone = whatsapp.phone()
    answer = api.http.post("/v1/media", content=pieces(), headers={"Content-Type": "image/jpeg"})
    assert (answer.status_code, answer.request.headers["transfer-encoding"]) == (201, "chunked")
    api.send(phone.number, "image", id=answer.json()["media"][0]["id"])
    assert pixels(phone.wait_for("image").bytes) == pixels(HARBOUR)
