"""Every callback body of the page is what the code makes of the same values, and every kind of body is on the page."""

import json
import re
from pathlib import Path
from typing import Any

from satchel.domain.errors import NOT_ON_NETWORK, RECEIVED_GONE, Fault
from satchel.domain.incoming import Incoming, Offered, body_of, items_body
from satchel.domain.statuses import Status
from satchel.domain.statuses import body_of as status_body

PAGE = Path(__file__).parents[2] / "docs/reference/callbacks.md"
MEDIA, SHA = "6f1d2c3b-4a59-4877-9695-a4b3c2d1e0ff", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
FILE = f"/usr/local/wamedia/shared/{MEDIA}"
OURS = "gBEGkYiEB1VXAglK1ZEqA1YKPrU"
GONE = Fault(RECEIVED_GONE, "…")


def incoming(last: int, type_: str, **said: Any) -> Incoming:
    return Incoming(f"ABEGRHcAkAEjAgo-sNf8qX0jWvQ{last}", "12025550111", "Customer", 1767225600.0, type_, **said)


BODIES: dict[str, dict[str, Any]] = {
    "image": body_of(incoming(2, "image", media=Offered("image/jpeg", 11, SHA, caption="The harbour")), MEDIA, FILE),
    "voice": body_of(incoming(3, "voice", media=Offered("audio/ogg; codecs=opus", 11, SHA)), MEDIA, FILE),
    "text": body_of(incoming(4, "text", text="Thanks!", context={"from": "12025550100", "id": OURS})),
    "reaction": body_of(incoming(5, "reaction", reaction={"message_id": OURS, "emoji": "👍"})),
    "unknown": body_of(incoming(6, "unknown")),
    "undownloaded": body_of(incoming(7, "document", media=Offered("application/pdf", 11, SHA, "bill.pdf")), MEDIA, None, GONE),
    "downloaded": items_body("document", MEDIA, "application/pdf", SHA),
    "delivered": status_body(Status(OURS, "12025550111", "delivered", 1767225600.0)),
    "failed": status_body(Status(OURS, "12025550103", "failed", 1767225600.0, Fault(NOT_ON_NETWORK, "…"))),
}


def test_the_bodies_of_the_page_are_those_of_the_code() -> None:
    blocks = re.findall(r"^```json (\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert {name: json.loads(block) for name, block in blocks} == BODIES


def test_a_failed_download_says_why() -> None:
    (item,) = items_body("image", MEDIA, "image/jpeg", SHA, GONE)["media_items"]
    assert (item["image"]["status"], item["errors"]) == (
        "undownloaded",
        [{"code": 400, "title": "Media download error", "details": "…"}],
    )
