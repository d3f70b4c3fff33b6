"""Statuses: their order, who hears of them, and the body of each callback."""

import pytest

from satchel.domain.errors import MEDIA_GONE, SITUATIONS, Fault
from satchel.domain.statuses import ANNOUNCED, ORDER, Status, body_of, errors_of, wanted


def test_the_order_is_the_way_of_a_message() -> None:
    assert sorted(ORDER, key=lambda status: ORDER[status]) == ["sent", "delivered", "read", "failed"]
    assert len(set(ORDER.values())) == len(ORDER)


@pytest.mark.parametrize("application", [{}, {"webhooks": {}}, {"webhooks": {"message": {}}}, {"webhooks": {"message": {"sent": None}}}])
def test_by_default_the_business_hears_of_all_but_sent(application: dict[str, object]) -> None:
    assert [status for status in ORDER if wanted(status, application)] == ["delivered", "read", "failed"]


@pytest.mark.parametrize("chosen", [True, False])
def test_what_is_chosen_counts_and_failed_is_always_told(chosen: bool) -> None:
    application = {"webhooks": {"message": dict.fromkeys([*ANNOUNCED, "failed"], chosen)}}
    assert [wanted(status, application) for status in ANNOUNCED] == [chosen] * 3
    assert wanted("failed", application)


def test_a_callback_has_one_status_with_its_time_as_digits() -> None:
    status = Status("m", "12025550111", "delivered", 1_767_225_600.9)
    assert body_of(status) == {"statuses": [{"id": "m", "recipient_id": "12025550111", "status": "delivered", "timestamp": "1767225600"}]}


def test_a_failure_says_its_code_title_and_details() -> None:
    fault = Fault(MEDIA_GONE, "upload it again")
    told = body_of(Status("m", "12025550111", "failed", 1.0, fault))["statuses"][0]
    assert told["errors"] == [{"code": 1014, "title": "Internal error", "details": "upload it again"}]


@pytest.mark.parametrize("slug", SITUATIONS)
def test_every_situation_has_an_error_of_the_contract(slug: str) -> None:
    (error,) = errors_of(Fault(SITUATIONS[slug], "why"))
    assert set(error) == {"code", "title", "details"}
    assert isinstance(error["code"], int)


def test_each_status_of_a_message_has_a_cause_of_its_own() -> None:
    causes = {Status(message, "1", status, at).cause for message in "mn" for status in ORDER for at in (1.0, 2.0)}
    assert len(causes) == 2 * len(ORDER)
