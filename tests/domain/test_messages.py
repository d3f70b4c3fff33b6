"""What POST /v1/messages may say; the door's own view of it is in the tests of the Webapp."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain.errors import (
    NOT_REQUIRED,
    NOT_SUPPORTED_YET,
    PARAMETER_INVALID,
    PARAMETER_MISSING,
    RECIPIENT_TYPE,
    TEMPLATE_FORMAT,
    TOO_LONG,
    Fault,
    Situation,
)
from satchel.domain.messages import KNOWN, MEDIA_TYPES, SUPPORTED, Outgoing, parse, server_of, shown_link

from .anything import JSON

TO = "12025550111"
HEADER = st.fixed_dictionaries({"type": JSON | st.just("image")}, optional={"image": JSON | st.just({"id": "m"})})
COMPONENT = st.fixed_dictionaries({"type": JSON | st.just("header")}, optional={"parameters": JSON | st.lists(HEADER, max_size=3)})
TEMPLATE = st.fixed_dictionaries(
    {"name": JSON | st.just("t"), "language": JSON | st.just({"code": "en"})},
    optional={"components": JSON | st.lists(COMPONENT, max_size=3)},
)
NEAR = st.fixed_dictionaries(
    {"to": JSON | st.just(TO), "type": JSON | st.sampled_from(KNOWN)},
    optional={
        "recipient_type": JSON | st.just("individual"),
        "ttl": JSON | st.sampled_from(["P4D", "PT5M", "60", "P", 7]),
        "text": JSON | st.fixed_dictionaries({}, optional={"body": JSON, "preview_url": JSON}),
        "template": JSON | TEMPLATE,
        **{
            kind: JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "link", "caption", "filename"), JSON))
            for kind in MEDIA_TYPES
        },
    },
)


def message(**media: Any) -> dict[str, Any]:
    return {"to": TO, "type": "document", "document": {"id": "m", **media}}


HEADED = {"type": "header", "parameters": [{"type": "document", "document": {"link": "https://a.example/b.pdf", "filename": "b.pdf"}}]}


def template(**changed: Any) -> dict[str, Any]:
    return {"to": TO, "type": "template", "template": {"name": "t", "language": {"code": "en"}, **changed}}


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
        assert parsed.type in SUPPORTED
        assert (parsed.media_type is not None) == bool(parsed.media_id or parsed.link)
        assert not (parsed.media_id and parsed.link)


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
    assert parse(given) == Outgoing(TO, "image", "m", ttl=5.0)


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
        (message(id=None, link="http:///a"), PARAMETER_INVALID),
        (message(id=None, link="ftp://a/b"), PARAMETER_INVALID),
        (message(id=None, link="http://user@a/b"), PARAMETER_INVALID),
        (message(id=None, link="http://[::1"), PARAMETER_INVALID),
        (message(id=None, link="http://a]b/c"), PARAMETER_INVALID),
        (message(id=None, link="http://a:99999/b"), PARAMETER_INVALID),
        (message(id=None, link="http://:80/b"), PARAMETER_INVALID),
        (message(id=None, link="http://a/ b"), PARAMETER_INVALID),
        (message(id=None, link="http://a/\nb"), PARAMETER_INVALID),
        (message(id=None, link="http://a/" + "b" * 2048), PARAMETER_INVALID),
        (message(id=None, link="http://a/", provider={"x": 1}), PARAMETER_MISSING),
        (message(id=None, link="DATA:image/png;base64,AAAA"), PARAMETER_INVALID),
        (message(caption="a\x00b"), PARAMETER_INVALID),
        (message(filename="a\ud800b"), PARAMETER_INVALID),
        ({"to": TO, "type": "location", "location": {}}, NOT_SUPPORTED_YET),
        ({"to": TO, "type": "text"}, PARAMETER_MISSING),
        ({"to": TO, "type": "text", "text": {"body": ""}}, PARAMETER_INVALID),
        ({"to": TO, "type": "text", "text": {"body": "a"}, "preview_url": "yes"}, PARAMETER_INVALID),
        ({"to": TO, "type": "audio", "audio": {"id": "m", "caption": "c"}}, NOT_REQUIRED),
        ({**message(), "ttl": 0}, PARAMETER_INVALID),
        ({**message(), "ttl": True}, PARAMETER_INVALID),
        ({**message(), "ttl": "P1Y"}, PARAMETER_INVALID),
        ({**message(), "ttl": "P31D"}, PARAMETER_INVALID),
        (template(name=None), PARAMETER_MISSING),
        (template(language="en"), PARAMETER_INVALID),
        (template(components=[{"type": "header", "parameters": [{"type": "image"}]}]), PARAMETER_MISSING),
        (template(components=[{"type": "HEADER", "parameters": [{"type": "sticker", "sticker": {"id": "m"}}]}]), TEMPLATE_FORMAT),
        (template(components=[HEADED, HEADED]), PARAMETER_INVALID),
        (template(components=[{"type": "body", "parameters": [{"text": "x" * 70_000}]}]), TOO_LONG),
        (template(components=[{"type": "body", "parameters": [{"text": "\x00"}]}]), PARAMETER_INVALID),
    ],
)
def test_what_is_wrong_has_its_situation(given: Any, situation: Situation) -> None:
    assert refused(given) is situation


@pytest.mark.parametrize("link", ["http://u:p@[::1/a?b=c", "https://a]b/?c"])
def test_a_link_that_cannot_be_taken_apart_is_shown_without_its_secrets(link: str) -> None:
    assert shown_link(link) == f"{link.partition(':')[0]}://…"


def test_a_caption_has_1024_characters_at_most() -> None:
    assert parse(message(caption="é" * 1024)).caption == "é" * 1024
    assert refused(message(caption="é" * 1025)) is TOO_LONG


def test_a_text_has_its_body_and_the_wish_for_a_preview_wherever_it_stands() -> None:
    for said in ({"text": {"body": "hi"}, "preview_url": True}, {"type": "text", "text": {"body": "hi", "preview_url": True}}):
        assert parse({"to": TO, **said}) == Outgoing(TO, "text", text="hi", preview_url=True)
    assert refused({"to": TO, "text": {"body": "x" * 4097}}) is TOO_LONG


@pytest.mark.parametrize("provider", [{"name": "files"}, "files"])
def test_a_link_goes_with_the_provider_in_every_form(provider: Any) -> None:
    wanted = Outgoing(TO, "document", link="https://a.example/b.pdf?c=d", provider="files")
    assert parse(message(id=None, link="https://a.example/b.pdf?c=d", provider=provider)) == wanted
    assert parse(message(id=None, link="files/https://a.example/b.pdf?c=d")) == wanted


@pytest.mark.parametrize(("ttl", "seconds"), [(60, 60.0), ("60", 60.0), ("P4D", 345_600.0), ("P1DT1H1M1S", 90_061.0), ("PT5M", 300.0)])
def test_a_ttl_comes_in_three_forms(ttl: Any, seconds: float) -> None:
    assert parse({**message(), "ttl": ttl}).ttl == seconds


def test_a_template_goes_out_as_its_header() -> None:
    parsed = parse(template(components=[HEADED, {"type": "body", "parameters": []}]))
    assert (parsed.type, parsed.media_type, parsed.link, parsed.filename) == ("template", "document", "https://a.example/b.pdf", "b.pdf")
    assert parsed.template is not None and parsed.template["name"] == "t"
    assert parse(template()).media_type is None


@pytest.mark.parametrize(
    ("link", "server"),
    [
        ("https://Files.Example.com/a?b", "files.example.com:https"),
        ("https://user:secret@files.example.com./x", "files.example.com:https"),
        ("http://127.0.0.1:8000/x", "127.0.0.1:8000"),
        ("http://[::1]/x", "::1:http"),
        ("http://[::1/x", ""),
    ],
)
def test_the_server_of_a_link(link: str, server: str) -> None:
    assert server_of(link) == server
