"""Plans for pictures: what goes out as it is, what is converted, what is refused, by the three policies."""

from dataclasses import replace

import pytest

from satchel.domain.errors import CONTENT_MISMATCH, TOO_LARGE_TO_SEND, TYPE_NOT_ACCEPTED, Fault, Situation
from satchel.domain.limits import ENCRYPTED_BYTES, encrypted_size
from satchel.domain.media import Facts
from satchel.domain.plans import Plan, Policy, Rules, plan

JPEG = Facts("jpeg", "image/jpeg", 1200, 900, size=200_000)
PNG = Facts("png", "image/png", 1200, 900, size=200_000)
WEBP = Facts("webp", "image/webp", 512, 512, size=50_000, transparent=True)
MOST = {"image": 5_242_863, "sticker": 102_383}


def planned(facts: Facts, media_type: str = "image", policy: Policy = "repair") -> Plan:
    return plan(facts, media_type, Rules(image=policy, sticker=policy, background="#102030"))


def refused(facts: Facts, media_type: str = "image", policy: Policy = "repair") -> Fault:
    with pytest.raises(Fault) as caught:
        planned(facts, media_type, policy)
    return caught.value


@pytest.mark.parametrize("policy", ["refuse", "repair"])
@pytest.mark.parametrize(("facts", "media_type"), [(JPEG, "image"), (PNG, "image"), (WEBP, "sticker")])
def test_p09_a_compliant_picture_is_stripped_and_no_more(facts: Facts, media_type: str, policy: Policy) -> None:
    assert planned(facts, media_type, policy) == Plan(media_type, "strip", facts.mime, MOST[media_type])


@pytest.mark.parametrize("policy", ["refuse", "repair"])
@pytest.mark.parametrize(("facts", "media_type"), [(JPEG, "image"), (PNG, "image"), (WEBP, "sticker")])
def test_p09_a_compliant_picture_without_metadata_goes_out_as_it_is(facts: Facts, media_type: str, policy: Policy) -> None:
    assert planned(replace(facts, bare=True), media_type, policy) == Plan(media_type, "keep", facts.mime, MOST[media_type])


def test_off_looks_at_the_size_alone() -> None:
    text = Facts("text", "text/plain", size=10)
    assert planned(text, policy="off") == Plan("image", "keep", None, MOST["image"])
    assert planned(replace(text, size=MOST["sticker"]), "sticker", "off").action == "keep"
    assert refused(replace(text, size=MOST["sticker"] + 1), "sticker", "off").situation == TOO_LARGE_TO_SEND
    assert plan(text, "document", Rules()).action == "keep"


CONVERTED = {
    "cmyk": (replace(JPEG, lacks=("4 colour components",)), "4 colour components"),
    "16 bits": (replace(PNG, lacks=("16 bits",)), "16 bits"),
    "p10 transparent": (replace(PNG, transparent=True), "transparent pixels; images must be opaque"),
    "animated": (replace(PNG, animated=True), "an animation; images must be still"),
    "webp": (replace(WEBP, transparent=False), "image/webp; images must be image/jpeg or image/png"),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_may_not_go_out_as_an_image_is_converted_or_refused(name: str) -> None:
    facts, why = CONVERTED[name]
    assert planned(facts) == Plan("image", "convert", "image/jpeg", MOST["image"], (why,), "#102030")
    fault = refused(facts, policy="refuse")
    assert fault.situation == TYPE_NOT_ACCEPTED and why in fault.details and facts.mime in fault.details


@pytest.mark.parametrize(("facts", "media_type"), [(JPEG, "image"), (PNG, "image"), (WEBP, "sticker")])
def test_p08_the_ceiling_is_exact_on_the_encrypted_size(facts: Facts, media_type: str) -> None:
    most = MOST[media_type]
    assert encrypted_size(most) <= ENCRYPTED_BYTES[media_type] < encrypted_size(most + 1)
    assert planned(replace(facts, size=most), media_type).action == "strip"
    over = planned(replace(facts, size=most + 1), media_type)
    assert over.action == "convert" and f"the limit for {media_type} is {ENCRYPTED_BYTES[media_type]} bytes" in over.why[0]
    assert refused(replace(facts, size=most + 1), media_type, "refuse").situation == TOO_LARGE_TO_SEND


@pytest.mark.parametrize("policy", ["refuse", "repair"])
@pytest.mark.parametrize("facts", [replace(WEBP, animated=True), replace(PNG, animated=True)])
def test_p13_an_animated_sticker_is_always_refused(facts: Facts, policy: Policy) -> None:
    fault = refused(facts, "sticker", policy)
    assert (fault.situation, fault.situation.code) == (TYPE_NOT_ACCEPTED, 1000) and "animated" in fault.details


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (replace(WEBP, width=511), "511 × 512 pixels"),
        (replace(WEBP, height=513), "512 × 513 pixels"),
        (JPEG, "image/jpeg; stickers must be"),
    ],
)
def test_what_may_not_go_out_as_a_sticker_is_converted_or_refused(facts: Facts, why: str) -> None:
    made = planned(facts, "sticker")
    assert (made.action, made.mime, made.most) == ("convert", "image/webp", MOST["sticker"]) and why in "; ".join(made.why)
    assert why in refused(facts, "sticker", "refuse").details


REFUSED = [
    (Facts("text", "text/plain"), CONTENT_MISMATCH, "found text/plain"),
    (Facts("pdf", "application/pdf"), CONTENT_MISMATCH, "found application/pdf"),
    (Facts("mp4", "video/mp4"), CONTENT_MISMATCH, "found video/mp4"),
    (Facts("unknown", "application/octet-stream"), CONTENT_MISMATCH, "found no known file type"),
    (Facts("gif", "image/gif"), TYPE_NOT_ACCEPTED, "Found image/gif"),
    (Facts("heif", "image/heic"), TYPE_NOT_ACCEPTED, "Found image/heic"),
    (replace(JPEG, lacks=("so large",), beyond=("so large",)), TYPE_NOT_ACCEPTED, "so large"),
]


@pytest.mark.parametrize("media_type", ["image", "sticker"])
@pytest.mark.parametrize("policy", ["refuse", "repair"])
@pytest.mark.parametrize(("facts", "situation", "told"), REFUSED)
def test_what_no_repair_mends_is_refused_and_named(facts: Facts, situation: Situation, told: str, policy: Policy, media_type: str) -> None:
    fault = refused(facts, media_type, policy)
    assert fault.situation == situation and told in fault.details and "send it as " in fault.details
