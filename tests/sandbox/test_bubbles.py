"""What stands in a bubble, without a network: labels and where Android cuts them, kinds, ticks."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel_sandbox.blocks import Bubble
from satchel_sandbox.bubbles import ANDROID_LABEL, UNTITLED, bubble, cut
from satchel_sandbox.envelope import Envelope, Media
from satchel_sandbox.messages import Message

PHONE, BUSINESS = "12025550111", "12025550100"
LONG = "Your bill for October, with all calls and messages in detail"


def message(type_: Any, mime: str = "application/pdf", **members: Any) -> Message:
    media = Media(
        type=type_ if type_ != "template" else "image",
        mime_type=mime,
        media_key=bytes(32),
        direct_path="/v/x",
        file_sha256=bytes(32),
        file_enc_sha256=bytes(32),
        file_length=1,
    )
    envelope = Envelope(**{"id": "m", "to": PHONE, "sender": BUSINESS, "type": type_, "media": media, **members})
    return Message(1, "m", PHONE, 0.0, envelope, "downloaded")


def shown(found: Message, system: str = "android") -> Bubble:
    return bubble(found, system, found.state, None)


@pytest.mark.parametrize(
    ("members", "label", "is_cut"),
    [
        ({"caption": "Bill", "filename": "bill.pdf"}, "Bill", False),
        ({"filename": "bill.pdf"}, "bill.pdf", False),
        ({"caption": " ", "filename": "bill.pdf"}, "bill.pdf", False),
        ({}, UNTITLED, False),
        ({"caption": LONG}, LONG[: ANDROID_LABEL - 1] + "…", True),
        ({"filename": LONG}, LONG[: ANDROID_LABEL - 1] + "…", True),
        ({"caption": "x" * ANDROID_LABEL}, "x" * ANDROID_LABEL, False),
        ({"caption": "two\n lines"}, "two lines", False),
    ],
)
def test_p22_android_shows_one_line_of_a_documents_label_and_an_iphone_all(members: dict[str, str], label: str, is_cut: bool) -> None:
    android, iphone = (shown(message("document", **members), system) for system in ("android", "iphone"))
    assert (android.label, android.label_cut, android.caption) == (label, is_cut, None)
    whole = next((text.strip() for name in ("caption", "filename") if (text := members.get(name, "")).strip()), UNTITLED)
    assert (iphone.label, iphone.label_cut, iphone.caption) == (whole, False, None)
    assert any("characters" in reason for reason in android.why) == is_cut


@given(st.text(min_size=3, max_size=60), st.integers(2, 20))
def test_p22_what_is_cut_off_is_the_end(text: str, length: int) -> None:
    line = " ".join(text.split())
    if len(line) > length:
        short = cut(line, length)
        assert len(short) <= length and short[-1] == "…" and line.startswith(short[:-1])


@pytest.mark.parametrize("whole", ["👨\u200d👩\u200d👧", "👋🏽", "🇰🇷", "e\u0301", "각", "❤\ufe0f"], ids=ascii)
def test_p22_a_cut_parts_no_emoji_and_no_syllable(whole: str) -> None:
    for length in range(3, 3 + len(whole)):
        assert cut(f"ab{whole}{whole}cd", length).rstrip("…") in ("ab", f"ab{whole}", f"ab{whole}{whole}")
    assert cut(whole * 30, 2) != "…"  # one longer than the line is parted after all


@pytest.mark.parametrize(
    ("type_", "mime", "kind"),
    [
        ("audio", "audio/ogg; codecs=opus", "voice"),
        ("audio", "audio/ogg", "voice"),
        ("audio", "AUDIO/OGG;codecs=opus", "voice"),
        ("audio", "audio/mpeg", "audio"),
        ("video", "video/mp4", "video"),
        ("sticker", "image/webp", "sticker"),
        ("template", "image/jpeg", "template"),
        ("location", "x/y", "unsupported"),
    ],
)
def test_kinds(type_: str, mime: str, kind: str) -> None:
    told = shown(message(type_, mime, template={"name": "bill"} if type_ == "template" else None))
    assert told.kind == kind
    assert (told.label == "bill", told.label == "location") == (kind == "template", kind == "unsupported")


def test_ticks() -> None:
    received = message("audio")
    assert [shown(one).ticks for one in (received, replace(received, read_at=1.0), replace(received, read_at=1.0, played_at=2.0))] == [
        "delivered",
        "read",
        "played",
    ]
    assert shown(message("image", sender=PHONE, to=BUSINESS)).ticks == "sent"


@pytest.mark.parametrize("state", ["queued", "downloading", "downloaded", "not_downloaded", "requesting", "unavailable"])
def test_p21_a_media_state_is_told_as_it_is_and_only_what_is_there_has_a_picture(state: str) -> None:
    told = bubble(message("image", "image/jpeg"), "android", state, 0.0).media
    assert told is not None
    assert (told.state, told.thumb is not None, told.expires_at) == (state, state == "downloaded", "1970-01-01T00:00:00.000Z")
