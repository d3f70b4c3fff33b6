"""POST /v1/messages at the door."""

from typing import Any

import pytest

from satchel.domain.messages import KNOWN, SUPPORTED

from .conftest import Door

pytestmark = pytest.mark.anyio
UNKNOWN = "0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"


def picture(**members: Any) -> dict[str, Any]:
    return {"to": "12025550111", "type": "image", "image": members}


async def test_a_message_is_accepted_with_its_id(door: Door) -> None:
    body = picture(id=await door.upload(), caption=None, filename=None)
    answer = await door.send({**body, "to": "+1 (202) 555-0111", "recipient_type": "individual", "messaging_product": "whatsapp"})
    assert answer.status_code == 201
    (message,) = answer.json()["messages"]
    assert message["id"].startswith("gBEG")
    assert answer.json()["contacts"] == [{"input": "+1 (202) 555-0111", "wa_id": "12025550111"}]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (picture(id=UNKNOWN), 404, 1006),
        (picture(id="../../etc/passwd"), 404, 1006),
        (picture(), 400, 1008),
        (picture(id=""), 400, 1008),
        (picture(id=None, link=None), 400, 1008),
        (picture(id=5), 400, 1009),
        (picture(id=UNKNOWN, link="https://example.com/a.jpg"), 400, 1009),
        (picture(link="ftp://example.com/a.jpg"), 400, 1009),
        (picture(link="data:image/png;base64,AAAA"), 400, 1009),
        (picture(id=UNKNOWN, caption="x" * 1025), 400, 1001),
        (picture(id=UNKNOWN, caption={"a": 1}), 400, 1009),
        ({"type": "image", "image": {"id": UNKNOWN}}, 400, 1008),
        ({**picture(id=UNKNOWN), "to": "123456"}, 400, 1009),
        ({**picture(id=UNKNOWN), "to": "1234567890123456"}, 400, 1009),
        ({**picture(id=UNKNOWN), "to": "٠١٢٣٤٥٦٧٨٩"}, 400, 1009),
        ({**picture(id=UNKNOWN), "to": 12025550111}, 400, 1009),
        ({**picture(id=UNKNOWN), "recipient_type": "group"}, 400, 1002),
        ({"to": "12025550111", "type": "image"}, 400, 1008),
        ({"to": "12025550111", "type": "image", "image": "x"}, 400, 1009),
        ({"to": "12025550111", "type": "hologram"}, 400, 1009),
        ([], 400, 1009),
        ("x", 400, 1009),
    ],
)
async def test_what_is_wrong_is_said(door: Door, body: Any, status: int, code: int) -> None:
    answer = await door.send(body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code), answer.text
    assert answer.json()["errors"][0]["title"]
    assert len(answer.json()["errors"][0]["details"]) > 10


@pytest.mark.parametrize("kind", sorted(set(KNOWN) - set(SUPPORTED)))
async def test_other_types_are_not_supported_yet(door: Door, kind: str) -> None:
    answer = await door.send({"to": "12025550111", "type": kind, kind: {"id": UNKNOWN, "body": "x"}})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1009)
    assert "not supported" in answer.json()["errors"][0]["details"]


async def test_an_unknown_media_is_named_and_never_taken_for_an_unknown_contact(door: Door) -> None:
    details = (await door.send(picture(id=UNKNOWN))).json()["errors"][0]["details"]
    assert UNKNOWN in details
    assert "unknown contact" not in details
    assert "phone number" not in details


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"to": "\\ud800"}', b"[" * 100_000, b'{"a": NaN}'])
async def test_malformed_json_is_an_invalid_request(door: Door, body: bytes) -> None:
    answer = await door.http.post("/v1/messages", content=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] in {1025, 1008}


async def test_a_nul_in_a_caption_is_refused_on_both_engines(door: Door) -> None:
    answer = await door.send(picture(id=await door.upload(), caption="a\0b"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1009)


async def test_a_body_over_a_mebibyte_is_413(door: Door) -> None:
    answer = await door.http.post("/v1/messages", content=b" " * (2 << 20))
    assert answer.status_code == 413
