"""The application settings: a PATCH changes what it names, null sets back, nothing but a Fault comes out of a bad one."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from satchel.domain.application import DEFAULTS, alerts, merged, shown, strangers
from satchel.domain.errors import PARAMETER_INVALID, Fault
from satchel.domain.statuses import wanted

from .anything import JSON

MAYBE_BOOL = st.none() | st.booleans()
MAYBE_MS = st.none() | st.integers(1, 86_400_000)
FLAGS = st.fixed_dictionaries({}, optional={"sent": MAYBE_BOOL, "delivered": MAYBE_BOOL, "read": MAYBE_BOOL})
URLS = st.none() | st.sampled_from(["", "http://a/", "https://b:8/x?y"])
HOOKS = st.fixed_dictionaries({}, optional={"alerts": MAYBE_BOOL, "url": URLS, "message": FLAGS})
GOOD = st.fixed_dictionaries(
    {},
    optional={
        "callback_backoff_delay_ms": MAYBE_MS,
        "max_callback_backoff_delay_ms": MAYBE_MS,
        "sent_status": MAYBE_BOOL,
        "webhooks": HOOKS,
    },
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "callback_backoff_delay_ms": JSON,
        "max_callback_backoff_delay_ms": JSON,
        "sent_status": JSON,
        "webhooks": JSON
        | st.fixed_dictionaries({}, optional={"url": JSON, "message": JSON | st.dictionaries(st.sampled_from(["sent", "read"]), JSON)}),
    },
)


def applied(*patches: Any) -> dict[str, Any]:
    stored: dict[str, Any] = {}
    for patch in patches:
        stored = merged(stored, patch)
    return stored


def test_what_is_shown_of_nothing_is_the_defaults() -> None:
    assert shown({}) == DEFAULTS
    assert shown({}) is not DEFAULTS
    shown({})["webhooks"]["message"]["sent"] = "changed"
    assert DEFAULTS["webhooks"]["message"]["sent"] is False


@given(st.lists(GOOD, max_size=4))
def test_every_default_is_shown_whatever_was_set(patches: list[Any]) -> None:
    seen = shown(applied(*patches))
    assert set(DEFAULTS) <= set(seen)
    assert set(seen["webhooks"]["message"]) == {"sent", "delivered", "read"}
    assert None not in seen.values()


@example([{"sent_status": True}, {"webhooks": {"message": {"sent": None}}}])
@example([{"webhooks": {"message": {"sent": True}}}, {"sent_status": None}])
@given(st.lists(GOOD, max_size=4))
def test_both_forms_of_the_sent_setting_always_say_the_same(patches: list[Any]) -> None:
    stored = applied(*patches)
    seen = shown(stored)
    assert seen["sent_status"] == seen["webhooks"]["message"]["sent"] == wanted("sent", stored)


@given(st.lists(GOOD, max_size=3), GOOD)
def test_a_patch_twice_is_a_patch_once_and_the_stored_are_left_alone(patches: list[Any], patch: Any) -> None:
    stored = applied(*patches)
    before = json.dumps(stored)
    once = merged(stored, patch)
    assert merged(once, patch) == once
    assert json.dumps(stored) == before


@given(st.lists(GOOD, max_size=3))
def test_an_empty_patch_changes_nothing(patches: list[Any]) -> None:
    stored = applied(*patches)
    assert shown(merged(stored, {})) == shown(stored)


@given(GOOD, JSON | ODD)
def test_no_patch_raises_anything_but_a_fault(first: Any, patch: Any) -> None:
    stored = applied(first)
    try:
        after = merged(stored, patch)
    except Fault as fault:
        assert fault.situation is PARAMETER_INVALID
        assert len(fault.details) < 400
    else:
        assert set(DEFAULTS) <= set(shown(after))


def test_only_what_is_named_changes() -> None:
    stored = applied({"webhooks": {"url": "http://a/", "message": {"read": False}}}, {"webhooks": {"message": {"delivered": False}}})
    assert stored["webhooks"] == {"url": "http://a/", "message": {"read": False, "delivered": False}}


def test_null_sets_a_key_back_to_its_default() -> None:
    set_ = {"callback_backoff_delay_ms": 5, "webhooks": {"url": "http://a/", "message": {"sent": True, "read": False}}}
    back = {"callback_backoff_delay_ms": None, "webhooks": {"url": None, "message": {"sent": None, "read": None}}}
    assert shown(applied(set_, back)) == DEFAULTS


def test_unknown_keys_are_ignored() -> None:
    assert shown(applied({"axolotl": {"a": 1}, "webhooks": {"colour": 6, "message": {"warning": True}}})) == DEFAULTS


def test_the_newer_form_of_the_sent_setting_wins_over_the_older() -> None:
    assert applied({"sent_status": True, "webhooks": {"message": {"sent": False}}})["sent_status"] is False
    assert wanted("sent", applied({"sent_status": True}))


@pytest.mark.parametrize(("given", "number"), [(1, 1), (86_400_000, 86_400_000), ("3000", 3000)])
def test_milliseconds_come_as_a_number_or_its_text(given: Any, number: int) -> None:
    assert applied({"callback_backoff_delay_ms": given})["callback_backoff_delay_ms"] == number


@pytest.mark.parametrize("wrong", [0, -1, 86_400_001, True, "soon", "", [], {}, float("inf"), float("nan"), "9" * 5_000])
def test_a_number_of_milliseconds_that_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(Fault) as caught:
        merged({}, {"max_callback_backoff_delay_ms": wrong})
    assert caught.value.situation is PARAMETER_INVALID
    assert "max_callback_backoff_delay_ms" in caught.value.details


@pytest.mark.parametrize("url", ["http://localhost:8080/hook", "https://example.com", "https://u:p@[::1]:9/x?y=z"])
def test_a_webhook_url_is_kept_as_it_was_given(url: str) -> None:
    assert applied({"webhooks": {"url": url}})["webhooks"]["url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "hook",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://a:0/",
        "http://a:99999/",
        "http://[::1",
        "http://a/ b",
        "http://a/\n",
        5,
        [],
        {},
        True,
    ],
)
def test_a_webhook_url_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(Fault) as caught:
        merged({}, {"webhooks": {"url": url}})
    assert "webhooks.url" in caught.value.details


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_webhook_url_is_none(empty: str | None) -> None:
    assert not applied({"webhooks": {"url": "http://a/"}}, {"webhooks": {"url": empty}})["webhooks"].get("url")


@pytest.mark.parametrize(
    "patch", [None, [], "x", 1, {"webhooks": []}, {"webhooks": {"message": "x"}}, {"sent_status": 1}, {"sent_status": "true"}]
)
def test_a_patch_of_another_shape_is_refused(patch: Any) -> None:
    with pytest.raises(Fault) as caught:
        merged({}, patch)
    assert caught.value.situation is PARAMETER_INVALID


def test_p17_alerts_are_off_until_they_are_switched_on() -> None:
    assert alerts({}) is False
    on = merged({}, {"webhooks": {"alerts": True}})
    assert (alerts(on), shown(on)["webhooks"]["alerts"], shown({})["webhooks"]["alerts"]) == (True, True, False)
    assert alerts(merged(on, {"webhooks": {"alerts": None}})) is False
    with pytest.raises(Fault, match="alerts must be true or false"):
        merged({}, {"webhooks": {"alerts": "yes"}})


def test_keys_that_nothing_knows_are_named_with_their_section_and_no_value() -> None:
    patch = {
        "webhoks": {"url": "x"},
        "webhooks": {"ulr": "secret", "message": {"snt": True, "read": True}, "url": None},
        "sent_status": True,
    }
    assert strangers(patch) == ["webhoks", "webhooks.ulr", "webhooks.message.snt"]
    assert strangers(shown({})) == [] and strangers([1]) == []
