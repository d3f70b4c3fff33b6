"""What POST /v1/messages may say; the door's own view of it is in the tests of the Webapp."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain.errors import NOT_SUPPORTED_YET, PARAMETER_INVALID, PARAMETER_MISSING, RECIPIENT_TYPE, TOO_LONG, Fault, Situation
from satchel.domain.messages import KNOWN, Outgoing, parse

from .anything import JSON

TO = "12025550111"
NEAR = st.fixed_dictionaries(
    {"to": JSON | st.just(TO), "type": JSON | st.sampled_from(KNOWN)},
    optional={
        "recipient_type": JSON | st.just("individual"),
        **{
            kind: JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "link", "caption", "filename"), JSON))
            for kind in ("image", "document")
        },
    },
)


def message(**media: Any) -> dict[str, Any]:
    return {"to": TO, "type": "document", "document": {"id": "m", **media}}


def refused(given: Any) -> Situation:
    with pytest.raises(Fault) as caught:
        parse(given)
    assert len(caught.value.details) < 400
    return caught.value.situation


@given(JSON | NEAR)
def test_nothing_raises_anything_but_a_fault(given: Any) -> None:
    try:
        parsed = parse(given)
    except Fault as fault:
        assert 400 <= fault.situation.status < 500
        assert len(fault.details) < 400
    else:
        assert parsed.type in {"image", "document"}
        assert parsed.media_id


def test_a_document_keeps_its_caption_and_filename() -> None:
    given = {
        "recipient_type": "individual",
        "to": "+1 (202) 555-0111",
        "type": "document",
        "document": {"id": "m", "caption": "c", "filename": "f"},
    }
    assert parse(given) == Outgoing(TO, "document", "m", "c", "f")


def test_an_image_has_no_filename_and_unknown_members_are_ignored() -> None:
    given = {"to": TO, "type": "image", "image": {"id": "m", "filename": "f", "provider": {"name": "x"}}, "preview_url": True, "ttl": 5}
    assert parse(given) == Outgoing(TO, "image", "m", None, None)


def test_null_counts_as_absent() -> None:
    given = {**message(caption=None, filename=None, link=None), "recipient_type": None}
    assert parse(given) == Outgoing(TO, "document", "m")
    assert refused({**message(), "to": None}) is PARAMETER_MISSING
    assert refused({**message(), "document": None}) is PARAMETER_MISSING


@pytest.mark.parametrize("given", [None, [], "x", 5, True])
def test_a_body_that_is_no_object_is_refused(given: Any) -> None:
    assert refused(given) is PARAMETER_INVALID


@pytest.mark.parametrize("recipient_type", ["group", "", 1, True, [], ["individual"], {}])
def test_only_individuals_are_recipients(recipient_type: Any) -> None:
    assert refused({**message(), "recipient_type": recipient_type}) is RECIPIENT_TYPE


@pytest.mark.parametrize(
    ("given", "situation"),
    [
        ({"type": "image", "image": {"id": "m"}}, PARAMETER_MISSING),
        ({**message(), "to": 12025550111}, PARAMETER_INVALID),
        ({**message(), "to": "me"}, PARAMETER_INVALID),
        ({**message(), "type": "fax"}, PARAMETER_INVALID),
        ({**message(), "type": ["document"]}, PARAMETER_INVALID),
        ({**message(), "document": "m"}, PARAMETER_INVALID),
        ({"to": TO, "type": "image", "document": {"id": "m"}}, PARAMETER_MISSING),
        (message(id=None), PARAMETER_MISSING),
        (message(id=""), PARAMETER_MISSING),
        (message(id=5), PARAMETER_INVALID),
        (message(link="http://a/"), PARAMETER_INVALID),
        (message(id=None, link="http://a/"), NOT_SUPPORTED_YET),
        (message(id=None, link="DATA:image/png;base64,AAAA"), PARAMETER_INVALID),
        (message(caption="a\x00b"), PARAMETER_INVALID),
        (message(filename="a\ud800b"), PARAMETER_INVALID),
        ({"to": TO, "type": "text", "text": {"body": "hello"}}, NOT_SUPPORTED_YET),
        ({"to": TO, "text": {"body": "hello"}}, NOT_SUPPORTED_YET),
    ],
)
def test_what_is_wrong_has_its_situation(given: Any, situation: Situation) -> None:
    assert refused(given) is situation


def test_a_caption_has_1024_characters_at_most() -> None:
    assert parse(message(caption="é" * 1024)).caption == "é" * 1024
    assert refused(message(caption="é" * 1025)) is TOO_LONG
