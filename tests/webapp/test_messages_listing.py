"""What was sent, listed and told step by step."""

from typing import Any

import httpx2
import pytest

from satchel.db import Tx, message_listing, messages, settings, steps
from satchel.domain.errors import LINK_FAILED, UPSTREAM_DOWN, Fault, Later
from satchel.domain.statuses import Status
from satchel.domain.steps import Step
from satchel.flows import send, statuses
from satchel.flows.steps import Timeline

from .conftest import Door

pytestmark = pytest.mark.anyio
LIST = "/_satchel/v1/messages"
TO, OTHER = "12025550111", "12025550112"


async def text(door: Door, to: str = TO) -> str:
    answer = await door.send({"to": to, "type": "text", "text": {"body": "The ferry leaves at nine"}})
    return str(answer.json()["messages"][0]["id"])


async def link(door: Door) -> str:
    answer = await door.send({"to": TO, "type": "image", "image": {"link": "https://files.example/a.jpg?token=secret"}})
    return str(answer.json()["messages"][0]["id"])


async def head(door: Door, to: str = TO) -> messages.Waiting:
    found = await door.ports.db.read(lambda tx: messages.head(tx, messages.lane_of(to)))
    assert found is not None
    return found


async def fail(door: Door, to: str = TO) -> None:
    """The head of a number's lane ends failed."""
    why = Fault(LINK_FAILED, "https://files.example/a.jpg was answered with HTTP 404.")
    settle = send.failed(await head(door, to), why, Timeline("core-1", 2))
    await door.ports.db.write(settle)


async def hand(door: Door, *known: str, to: str = TO) -> str:
    """The network takes the head of a number's lane, and tells of it."""
    item = await head(door, to)

    def settle(tx: Tx) -> None:
        messages.handed(tx, item.id, None, None)
        now_net = settings.network_now(tx)
        statuses.record(tx, [Status(item.id, to, status, now_net) for status in known])

    await door.ports.db.write(settle)
    return item.id


async def listed(door: Door, query: str = "") -> list[str]:
    answer = await door.http.get(LIST + query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["messages"]]


async def one(door: Door, message_id: str) -> dict[str, Any]:
    answer = await door.http.get(f"{LIST}/{message_id}")
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["messages"]
    return dict(found)


async def of_a_user(door: Door) -> httpx2.AsyncClient:
    """A client whose user is no administrator."""
    made = await door.http.post("/v1/users", json={"username": "clerk", "password": "Harbour-Clerk-7"})
    assert made.status_code < 300, made.text
    token = (await door.http.post("/v1/users/login", auth=("clerk", "Harbour-Clerk-7"))).json()["users"][0]["token"]
    return httpx2.AsyncClient(transport=door.http._transport, base_url="http://node", headers={"Authorization": f"Bearer {token}"})


async def test_a_message_says_all_about_itself_and_no_secret(fresh: Door) -> None:
    message = await link(fresh)
    (shown,) = (await fresh.http.get(LIST)).json()["messages"]
    assert shown.pop("accepted_at").endswith("Z")
    assert shown == {
        "id": message,
        "cursor": 1,
        "to": TO,
        "type": "image",
        "state": "waiting",
        "media_id": None,
        "link": "https://files.example/a.jpg",
        "attempts": 0,
        "last_status": None,
        "fault": None,
    }


async def test_its_state_is_the_highest_status_that_came(fresh: Door) -> None:
    ids = [await text(fresh) for _ in range(5)]
    for known in ((), ("sent",), ("delivered", "sent"), ("read",)):
        await hand(fresh, *known)
    states = [found["state"] for found in (await fresh.http.get(LIST)).json()["messages"]]
    assert states == ["waiting", "read", "delivered", "sent", "handed"]
    for message, state in zip(ids[::-1], states, strict=True):
        assert await listed(fresh, f"?state={state}") == [message]
    assert [status["status"] for status in (await one(fresh, ids[2]))["statuses"]] == ["sent", "delivered"]
    assert (await one(fresh, ids[2]))["last_status"]["status"] == "delivered"


async def test_one_that_failed_says_why_and_one_that_failed_on_the_network_is_among_them(fresh: Door) -> None:
    ids = [await link(fresh), await text(fresh), await text(fresh)]
    await fail(fresh)
    await hand(fresh, "sent", "failed")
    assert await listed(fresh, "?state=failed") == ids[1::-1]
    fault = {"code": 1014, "title": "Internal error", "details": "https://files.example/a.jpg was answered with HTTP 404."}
    assert [(await one(fresh, message))["fault"] for message in ids] == [fault, None, None]


async def test_one_that_was_put_off_says_why_and_one_behind_it_behind_which(fresh: Door) -> None:
    first, second = await text(fresh), await text(fresh)
    assert [((await one(fresh, first))[name]) for name in ("behind", "why")] == [None, None]
    line, why = Timeline("core-1", 1), Later(UPSTREAM_DOWN, "The network does not answer.")
    with pytest.raises(Later), line.step("dispatched"):
        raise why
    await fresh.ports.db.write(send.put_off(await head(fresh), why, line))
    told = [await one(fresh, message) for message in (first, second)]
    assert [(found["behind"], found["why"]) for found in told] == [(None, why.details), (first, None)]
    await hand(fresh)
    assert (await one(fresh, first))["why"] is None


async def test_filters_add_up(fresh: Door) -> None:
    here, there, image = await text(fresh), await text(fresh, OTHER), await link(fresh)
    assert await listed(fresh, "?to=%2B1 202-555-0111") == [image, here]
    assert await listed(fresh, "?type=text") == [there, here]
    assert await listed(fresh, f"?type=text&to={TO}&state=waiting") == [here]
    assert await listed(fresh, "?type=video") == []


async def test_pages_are_followed_to_the_end(fresh: Door) -> None:
    ids = [await text(fresh) for _ in range(5)]
    found, url = list[str](), f"{LIST}?limit=2&type=text"
    while url:
        answer = await fresh.http.get(url)
        found += [message["id"] for message in answer.json()["messages"]]
        url = answer.links.get("next", {}).get("url", "")
    assert found == ids[::-1]
    cursor = (await one(fresh, ids[2]))["cursor"]
    assert await listed(fresh, f"?before={cursor}") == ids[1::-1]


async def test_a_short_page_still_leads_on(fresh: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await link(fresh)
    for _ in range(3):
        await text(fresh)
    monkeypatch.setattr(message_listing, "SCAN", 3)
    first = await fresh.http.get(f"{LIST}?type=image")
    assert first.json()["messages"] == []
    second = await fresh.http.get(first.links["next"]["url"])
    assert [message["id"] for message in second.json()["messages"]] == [image]
    assert "next" not in second.links


async def test_a_timeline_tells_each_step_and_each_callback_of_the_message_alone(fresh: Door) -> None:
    message, other = await link(fresh), await text(fresh, OTHER)
    await fail(fresh)
    await fail(fresh, OTHER)
    found = await one(fresh, message)
    accepted, failed = found["steps"]
    assert (accepted["step"], accepted["ms"], accepted["attempt"], accepted["outcome"]) == ("accepted", 0.0, 1, "ok")
    assert {**failed, "at": ""} == {
        "step": "failed",
        "at": "",
        "ms": 0.0,
        "host": "core-1",
        "attempt": 2,
        "outcome": "failed",
        "reason": "https://files.example/a.jpg was answered with HTTP 404.",
    }
    (callback,) = found["callbacks"]
    assert (callback["cause"], callback["state"], callback["attempts"]) == (f"status:{message}:failed", "unsent", [])
    assert (await one(fresh, other))["callbacks"][0]["cause"] == f"status:{other}:failed"


async def test_a_replay_is_among_the_callbacks(fresh: Door) -> None:
    message = await text(fresh)
    await fail(fresh)
    (callback,) = (await one(fresh, message))["callbacks"]
    answer = await fresh.http.post("/_satchel/v1/callbacks/replay", json={"ids": [callback["id"]], "to": "http://127.0.0.1:9/hook"})
    (again,) = answer.json()["callbacks"]
    assert [told["id"] for told in (await one(fresh, message))["callbacks"]] == [callback["id"], again["id"]]


async def test_a_failed_message_is_tried_again_and_its_earlier_steps_stay_before(fresh: Door) -> None:
    message = await text(fresh)
    await fail(fresh)
    answer = await fresh.http.post(f"{LIST}/{message}/retry")
    assert (answer.status_code, answer.json()["messages"][0]["state"]) == (200, "waiting")
    await fresh.ports.db.write(lambda tx: steps.write(tx, message, [Step("sniffed", 1.0, 3.0, "core-1")]))
    assert [step["step"] for step in (await one(fresh, message))["steps"]] == ["accepted", "failed", "accepted", "sniffed"]
    assert (await head(fresh)).id == message
    await fail(fresh)
    causes = [told["cause"] for told in (await one(fresh, message))["callbacks"]]
    assert causes == [f"status:{message}:failed", f"status:{message}:failed:2"]


async def test_what_cannot_be_tried_again_is_refused(fresh: Door) -> None:
    message = await text(fresh)
    waiting = await fresh.http.post(f"{LIST}/{message}/retry")
    assert (waiting.status_code, waiting.headers["satchel-error"]) == (409, "not-retriable")
    unknown = await fresh.http.post(f"{LIST}/gBEGnothing/retry")
    assert (unknown.status_code, unknown.headers["satchel-error"]) == (404, "message-not-found")


async def test_every_user_looks_and_administrators_try_again(fresh: Door) -> None:
    message = await text(fresh)
    await fail(fresh)
    async with await of_a_user(fresh) as clerk:
        assert (await clerk.get(LIST)).status_code == 200
        assert (await clerk.get(f"{LIST}/{message}")).status_code == 200
        assert (await clerk.post(f"{LIST}/{message}/retry")).status_code == 403
    nobody = {"Authorization": "Bearer x"}
    answers = [await fresh.http.get(url, headers=nobody) for url in (LIST, f"{LIST}/{message}")]
    answers.append(await fresh.http.post(f"{LIST}/{message}/retry", headers=nobody))
    assert [answer.status_code for answer in answers] == [401, 401, 401]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=1&limit=2",
        "before=x",
        "before=-1",
        "before=9999999999999999999",
        "state=lost",
        "to=12",
        "type=hsm",
        "x=1",
    ],
)
async def test_a_bad_value_is_a_problem_that_names_the_parameter(door: Door, query: str) -> None:
    answer = await door.http.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert f"parameter {query.partition('=')[0]} is" in answer.json()["detail"]


@pytest.mark.parametrize("message", ["gBEGnothing", "x", "%00"])
async def test_an_unknown_message_is_a_problem(door: Door, message: str) -> None:
    answer = await door.http.get(f"{LIST}/{message}")
    assert (answer.status_code, answer.json()["onprem_code"]) == (404, 1006)


async def test_an_id_that_no_database_can_hold_is_nobodys(door: Door) -> None:
    answer = await door.http.put("/v1/messages/gBEG%00", json={"status": "read"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 1006)
    told = {"ids": ["cb_\0"], "to": "http://127.0.0.1:9/hook"}
    assert (await door.http.post("/_satchel/v1/callbacks/replay", json=told)).status_code == 400
