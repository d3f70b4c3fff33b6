"""The wire's JSON and signature as this side writes and reads them: against the vectors, and against bodies that follow no page."""

import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from satchel.domain.errors import BAD_CREDENTIALS, BAD_REQUEST, UPSTREAM_REFUSED, WORLD_RESET, Fault, Situation
from satchel.domain.media import Rendition
from satchel.domain.messages import Outgoing
from satchel.upstream import Copy, Envelope, Placed, StaleCopy
from satchel.upstream.sandbox import wire

WIRE = Path(__file__).parents[2] / "wire"
SIGNATURES: list[dict[str, Any]] = json.loads((WIRE / "events.json").read_text("utf-8"))
ENVELOPES: list[dict[str, Any]] = json.loads((WIRE / "envelope.json").read_text("utf-8"))
SENDABLE = [
    case
    for case in ENVELOPES
    if case["valid"] and case["envelope"]["type"] not in ("text", "template") and "streaming_sidecar" not in case["envelope"]["media"]
]


def verified(case: dict[str, Any], now: float | None = None, **headers: str) -> None:
    given = {wire.SIGNATURE: case["signature_header"], **headers}
    wire.verified(case["secret"], given, case["body"].encode(), case["t"] if now is None else now)


# Signatures


@pytest.mark.parametrize("case", SIGNATURES, ids=lambda case: case["name"])
def test_signature_vectors(case: dict[str, Any]) -> None:
    assert (wire.sign(case["secret"], case["body"].encode(), case["t"]) == case["signature_header"]) is case["valid"]
    if case["valid"]:
        verified(case)
        return
    with pytest.raises(Fault) as caught:
        verified(case)
    assert caught.value.situation is BAD_CREDENTIALS


@pytest.mark.parametrize(("apart", "fits"), [(0, True), (300, True), (-300, True), (301, False), (-301, False), (86_400 * 365, False)])
def test_a_signature_holds_for_five_minutes_around_its_time(apart: float, fits: bool) -> None:
    case = SIGNATURES[0]
    if fits:
        verified(case, case["t"] + apart)
        return
    with pytest.raises(Fault) as caught:
        verified(case, case["t"] + apart)
    assert caught.value.situation is BAD_CREDENTIALS
    assert "clock" in caught.value.details


def test_an_old_post_is_refused_by_the_clock_of_this_machine() -> None:
    case = SIGNATURES[0]
    with pytest.raises(Fault, match="clock"):
        wire.verified(case["secret"], {wire.SIGNATURE: case["signature_header"]}, case["body"].encode())


def test_without_a_secret_nothing_is_accepted() -> None:
    with pytest.raises(Fault) as caught:
        wire.verified("", {wire.SIGNATURE: wire.sign("", b"{}", 1_000)}, b"{}", 1_000)
    assert caught.value.situation is BAD_CREDENTIALS


@pytest.mark.parametrize(
    "header", ["", "t=", "v1=", "t=١,v1=x", "t=-1,v1=x", "t=" + "9" * 5_000, "t=1767225600, v1=x", "ÿ", "t=01767225600,v1={}", "T=1,V1=2"]
)
def test_a_malformed_signature_is_refused(header: str) -> None:
    case = SIGNATURES[0]
    header = header.format(case["signature_header"].partition("v1=")[2])
    with pytest.raises(Fault) as caught:
        wire.verified(case["secret"], {wire.SIGNATURE: header}, case["body"].encode(), case["t"])
    assert caught.value.situation is BAD_CREDENTIALS


def test_no_signature_at_all_is_refused() -> None:
    with pytest.raises(Fault) as caught:
        wire.verified("secret", {}, b"{}")
    assert caught.value.situation is BAD_CREDENTIALS


# Envelopes


def ours(case: dict[str, Any]) -> Envelope:
    """The envelope that has to come out as the vector's."""
    given, media = case["envelope"], case["envelope"]["media"]
    address = wire.Address(media["direct_path"], b64decode(media["file_enc_sha256"]), media["file_length"])
    copy = Copy(msgspec.json.encode(address).decode(), 1.0)
    sha256 = b64decode(media["file_sha256"]).hex()
    rendition = Rendition("r", "s", media["type"], "p", None, media["mime_type"], 1, sha256, b64decode(media["media_key"]))
    message = Outgoing(given["to"], given["type"], "m", given.get("caption"), given.get("filename"))
    return Envelope(given["id"], given.get("world"), message, Placed(media["mime_type"], rendition, copy))


@pytest.mark.parametrize("case", SENDABLE, ids=lambda case: case["name"])
def test_our_envelope_is_the_vectors(case: dict[str, Any]) -> None:
    expected = {name: value for name, value in case["envelope"].items() if value is not None and name != "later"}
    expected["media"] = {name: value for name, value in expected["media"].items() if name != "width"}
    assert json.loads(wire.envelope_json(ours(case), case["envelope"]["from"])) == expected


def test_what_is_absent_is_left_out_and_an_empty_caption_is_not() -> None:
    whole = ours(SENDABLE[0])
    bare = replace(whole, message=replace(whole.message, caption=None, filename=None), world=None)
    assert {"world", "caption", "filename"}.isdisjoint(json.loads(wire.envelope_json(bare, "12025550100")))
    assert json.loads(wire.envelope_json(replace(bare, message=replace(bare.message, caption="")), "12025550100"))["caption"] == ""


def test_a_template_goes_out_without_where_its_media_came_from() -> None:
    said = {"link": "http://files.example/a.jpg?token=SECRET", "provider": {"name": "files"}, "id": "mine", "filename": "a.jpg"}
    header = {"type": "HEADER", "parameters": [{"type": "image", "image": said}, {"type": "text", "text": "x"}]}
    body = {"type": "body", "parameters": [{"type": "text", "text": "see link"}]}
    template = {"name": "bill", "language": {"code": "en"}, "components": [header, body, {"type": "header"}]}
    envelope = Envelope("m", None, Outgoing("12025550111", "template", template=template, header="image"), None)
    sent = json.loads(wire.envelope_json(envelope, "12025550100"))["template"]
    assert sent["components"][0]["parameters"] == [{"type": "image", "image": {"filename": "a.jpg"}}, {"type": "text", "text": "x"}]
    assert sent["components"][1:] == [body, {"type": "header"}]
    assert said["link"]  # what is kept is as it came
    for bare in ({"name": "bill"}, {"name": "bill", "components": None}, {"name": "bill", "components": []}):
        assert json.loads(wire.envelope_json(replace(envelope, message=replace(envelope.message, template=bare)), "1"))["template"] == bare


# Refusals


@pytest.mark.parametrize(
    ("slug", "situation"), [("invalid", UPSTREAM_REFUSED), ("hash_mismatch", UPSTREAM_REFUSED), ("wrong_world", WORLD_RESET)]
)
def test_a_refusal_for_good_is_a_fault_with_the_networks_own_words(slug: str, situation: Situation) -> None:
    refused = wire.refusal(json.dumps({"error": slug, "details": "because", "more": 1}).encode())
    assert isinstance(refused, Fault)
    assert refused.situation is situation
    assert "because" in refused.details


@pytest.mark.parametrize("details", [{}, {"details": None}, {"details": "over"}])
def test_a_stale_copy_is_no_fault(details: dict[str, Any]) -> None:
    assert isinstance(wire.refusal(json.dumps({"error": "stale_copy", **details}).encode()), StaleCopy)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'"invalid"',
        b'{"error": null}',
        b'{"error": ["invalid"]}',
        b'{"error": {}}',
        b'{"error": "unauthorized"}',
        b'{"error": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_worth_another_try(body: bytes) -> None:
    assert wire.refusal(body) is None


# Upstream events


def test_events_are_read_as_they_came() -> None:
    posted = wire.read_events(SIGNATURES[5]["body"].encode())
    assert posted.world == "w1"
    assert [(event.dedupe_key, event.kind, event.message, event.status) for event in posted.events] == [
        ("ev-3", "status", "a", "sent"),
        ("ev-4", "status", "b", "sent"),
    ]
    assert posted.events[0].body == json.loads(SIGNATURES[5]["body"])["events"][0]
    assert posted.events[0].at_net == 1767225600.0
    assert posted.events[0].offset is None
    assert wire.read_events(SIGNATURES[1]["body"].encode()).events[0].offset == 86_400.0


def test_members_that_are_null_count_as_absent_and_unknown_kinds_and_members_are_kept() -> None:
    event = {"id": "e", "kind": "later", "message": None, "status": None, "at": None, "offset": None, "more": {"a": [1, None]}}
    (read,) = wire.read_events(json.dumps({"world": "w", "events": [event], "note": "x"}).encode()).events
    assert (read.kind, read.message, read.status, read.at_net, read.offset) == ("later", "", "", 0.0, None)
    assert read.body == event


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"world": "w"}',
        b'{"events": []}',
        b'{"world": 1, "events": []}',
        b'{"world": "w", "events": {}}',
        b'{"world": "\xff", "events": []}',
        b'{"world": "a\\u0000", "events": []}',
        b'{"world": "w", "events": [' + b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_no_list_of_events_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(Fault) as caught:
        wire.read_events(body)
    assert caught.value.situation is BAD_REQUEST


FINE = {"id": "fine", "kind": "status", "message": "m", "recipient": "1", "status": "read", "at": 5.0}
MOVED = {"id": "e", "kind": "state"}


@pytest.mark.parametrize(
    "event",
    [
        1, None, [], "x", {}, {"kind": "state"}, {"id": 1, "kind": "state"}, {"id": "e"}, {**FINE, "at": "now"}, {**FINE, "at": True},
        {**MOVED, "offset": "1"}, {**MOVED, "offset": 1e300}, {**MOVED, "offset": -1e12},
        {**FINE, "at": 1e300}, {**FINE, "at": -1e18}, {**FINE, "at": 10**30}, {**FINE, "at": -1}, {**FINE, "at": 253402300800},
        {**FINE, "status": "failed"}, {**FINE, "status": "weird"}, {**FINE, "status": None}, {**FINE, "id": ""}, {**FINE, "id": "a" * 201},
        {**FINE, "id": "a\0"}, {**FINE, "message": "a\0"}, {**FINE, "more": ["a\0"]}, {**FINE, "more": "\\\0"}, {**FINE, "\0": 1},
    ],
    ids=lambda event: repr(event)[:60],
)  # fmt: skip
def test_an_event_that_cannot_be_is_left_out_and_holds_up_nothing(event: Any) -> None:
    with capture_logs() as said:
        posted = wire.read_events(json.dumps({"world": "w", "events": [event, FINE]}).encode())
    assert [read.dedupe_key for read in posted.events] == ["fine"]
    assert [line["event"] for line in said] == ["upstream_event_dropped"]


def test_a_text_about_a_nul_is_none() -> None:
    event = {**FINE, "more": "\\u0000 and \\\\u0000", "\\u0000": 1}
    (read,) = wire.read_events(json.dumps({"world": "w", "events": [event]}).encode()).events
    assert read.body == event


def test_a_clock_that_was_moved_by_centuries_is_one() -> None:
    for offset in (0.0, 6e9, -5.0):
        (read,) = wire.read_events(json.dumps({"world": "w", "events": [{"id": "e", "kind": "state", "offset": offset}]}).encode()).events
        assert read.offset == offset


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), lambda inner: st.lists(inner)
)
EVENT = st.dictionaries(st.sampled_from(["id", "kind", "message", "recipient", "status", "at", "offset", "x"]), ANYTHING)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(), st.fixed_dictionaries({"world": ANYTHING, "events": st.lists(EVENT) | ANYTHING})))
def test_no_body_raises_anything_but_a_fault(body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        wire.read_events(raw)
    except Fault as fault:
        assert fault.situation is BAD_REQUEST
