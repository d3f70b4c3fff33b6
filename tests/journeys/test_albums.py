"""Albums through the whole path: real processes, a real phone's view of what a business sent."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from .running import Json, Node, eventually

PHONE, OTHER = "12025550111", "12025550112"


def picture(number: int) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (320, 240), (40 * number, 90, 160)).save(body, "JPEG")
    return body.getvalue()


def blocks(node: Node, phone: str) -> list[Json]:
    answer = node.http.get(f"{node.sandbox_url}/sandbox/phones/{phone}/conversations/latest/blocks")
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["blocks"]
    return found


def act(node: Node, phone: str, do: str) -> None:
    answer = node.http.post(f"{node.sandbox_url}/sandbox/phones/{phone}/actions", json={"do": do})
    assert answer.status_code == 200, answer.text


def shown(found: list[Json]) -> list[Any]:
    """Kinds, an album as the ids in it."""
    return [[item["id"] for item in block["items"]] if block["kind"] == "album" else block["kind"] for block in found]


def test_p23_p25_five_images_are_an_album_in_their_order_and_a_caption_among_them_prevents_it(node: Node) -> None:
    media = [node.upload(picture(number)) for number in range(5)]
    sent = [node.send(PHONE, "image", one) for one in media]
    captioned = [node.send(OTHER, "image", one, **({"caption": "The harbour"} if n == 2 else {})) for n, one in enumerate(media)]
    for phone in (PHONE, OTHER):
        node.phone_until(phone, 5)
        act(node, phone, "open")
    assert shown(blocks(node, PHONE)) == ["date", "unread", sent]
    singles = blocks(node, OTHER)
    assert shown(singles) == ["date", "unread", *["image"] * 5]
    assert [block.get("caption") for block in singles[2:]] == [None, None, "The harbour", None, None]
    assert f"ends before {captioned[2]}, which has a caption" in singles[3]["why"]


def test_p24_images_that_arrive_in_an_open_chat_are_an_album_at_the_next_visit(node: Node) -> None:
    act(node, PHONE, "open")
    sent = [node.send(PHONE, "image", node.upload(picture(number))) for number in range(4)]
    node.phone_until(PHONE, 4)
    assert shown(blocks(node, PHONE)) == ["date", *["image"] * 4]
    act(node, PHONE, "leave")
    act(node, PHONE, "open")
    assert shown(blocks(node, PHONE)) == ["date", sent]
    last = sent[-1]
    eventually(lambda: blocks(node, PHONE)[-1]["items"][-1]["ticks"] == "read", 10, lambda: f"{last} is not read")


def test_p21_p22_captions_and_file_names_on_both_systems(node: Node, photo: Path) -> None:
    caption = "10월 이용 명세서입니다. 확인하시고 궁금한 점은 언제든지 문의해 주세요."
    node.send(PHONE, "image", node.upload(photo.read_bytes()), caption=caption)
    node.send(PHONE, "document", node.upload(b"%PDF-1.4 bill", "application/pdf"), caption=caption, filename="bill.pdf")
    node.phone_until(PHONE, 2)
    for system, cut in (("android", True), ("iphone", False)):
        path = f"/sandbox/phones/{PHONE}/conversations/latest/blocks?as={system}"
        *_, image, document = node.http.get(node.sandbox_url + path).json()["blocks"]
        assert (image["caption"], document["label_cut"], "caption" in document) == (caption, cut, False)
        assert document["label"] == (f"{caption[:29]}…" if cut else caption)
