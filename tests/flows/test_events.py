"""What the upstream reports: taken once, told in order, and nothing of a world that is gone."""

import json
import time
from typing import Any

import msgspec
import pytest

from satchel.db import Tx, settings
from satchel.domain.errors import Fault
from satchel.domain.messages import Outgoing
from satchel.flows import Ports, events, media_node, send
from satchel.upstream.sandbox.wire import SIGNATURE, sign

from ..conftest import Place
from .test_send import body_of

pytestmark = pytest.mark.anyio
SECRET = "a-secret-for-events"


@pytest.fixture(autouse=True)
def secret(place: Place) -> None:
    place.environ["SATCHEL_UPSTREAM__SECRET"] = SECRET


async def a_message(ports: Ports) -> str:
    media = await media_node.upload(ports, body_of(b"x"), media_node.Upload("text/plain", "admin"))
    return (await send.accept(ports, Outgoing("12025550111", "document", media.id))).id


async def post(ports: Ports, *reported: dict[str, Any], world: str = "w1") -> int:
    body = json.dumps({"world": world, "events": reported}).encode()
    return await events.absorb(ports, {SIGNATURE: sign(SECRET, body, int(time.time()))}, body)


def status(message: str, status: str, id_: str | None = None) -> dict[str, Any]:
    return {
        "id": id_ or f"{message}-{status}",
        "kind": "status",
        "message": message,
        "recipient": "12025550111",
        "status": status,
        "at": 1767225600.0,
    }


async def told(ports: Ports) -> list[str]:
    rows = await ports.db.read(lambda tx: tx.all("SELECT body FROM callback ORDER BY seq"))
    return [msgspec.json.decode(row[0])["statuses"][0]["status"] for row in rows]


async def test_statuses_are_told_in_order_and_once(ports: Ports) -> None:
    message = await a_message(ports)
    await ports.db.write(lambda tx: settings.put(tx, settings.APPLICATION, {"webhooks": {"message": {"sent": True}}}))
    assert await post(ports, status(message, "sent"), status(message, "delivered")) == 2
    assert await post(ports, status(message, "sent"), status(message, "read")) == 1
    assert await told(ports) == ["sent", "delivered", "read"]


async def test_the_same_status_under_another_id_is_told_once(ports: Ports) -> None:
    message = await a_message(ports)
    assert await post(ports, status(message, "delivered", "a"), status(message, "delivered", "b")) == 2
    assert await told(ports) == ["delivered"]


async def test_a_lower_status_after_a_higher_one_is_recorded_and_not_told(ports: Ports) -> None:
    message = await a_message(ports)
    await post(ports, status(message, "read"))
    await post(ports, status(message, "delivered"))
    assert await told(ports) == ["read"]

    def recorded(tx: Tx) -> set[str]:
        return {row[0] for row in tx.all("SELECT status FROM status")}

    assert await ports.db.read(recorded) == {"read", "delivered"}


async def test_without_a_url_callbacks_are_kept_unsent(ports: Ports) -> None:
    await post(ports, status(await a_message(ports), "delivered"))
    assert await ports.db.read(lambda tx: tx.one("SELECT state FROM callback")) == ("unsent",)


async def test_an_unknown_message_is_taken_and_told_to_nobody(ports: Ports) -> None:
    assert await post(ports, status("gBEGnobody", "delivered")) == 1
    assert await told(ports) == []


async def test_a_status_of_somebody_elses_message_or_of_another_kind_is_told_to_nobody(ports: Ports) -> None:
    message = await a_message(ports)
    assert await post(ports, {**status(message, "delivered"), "recipient": "19998887777"}) == 1
    assert await post(ports, {**status(message, "delivered", "x"), "kind": "typing"}) == 1
    assert await told(ports) == []
    assert await post(ports, {**status(message, "delivered", "y"), "recipient": None}) == 1
    assert await told(ports) == ["delivered"]


async def test_nonsense_is_taken_once_and_leaves_the_lists_readable(ports: Ports) -> None:
    message = await a_message(ports)
    wild = [{**status(message, "delivered", f"w{at}"), "at": at} for at in (1e300, -1e18, 10**30)]
    assert await post(ports, *wild, {"id": "s", "kind": "state", "offset": 1e12}, status(message, "sent", "a" * 500_000)) == 0
    assert await ports.db.read(settings.upstream) == (None, 0.0)
    assert await post(ports, *wild, status(message, "read")) == 1
    assert await told(ports) == ["read"]


async def test_a_state_event_sets_the_world_and_events_of_another_are_dropped(ports: Ports) -> None:
    message = await a_message(ports)
    await post(ports, {"id": "s1", "kind": "state", "offset": 86400.0}, world="w2")
    assert await ports.db.read(settings.upstream) == ("w2", 86400.0)
    assert await post(ports, status(message, "delivered"), world="w1") == 1
    assert await told(ports) == []
    now = await ports.db.read(settings.network_now)
    assert now - time.time() == pytest.approx(86400.0, abs=5)


async def test_a_repeated_state_event_does_not_bring_back_a_world_that_is_gone(ports: Ports) -> None:
    old = {"id": "s1", "kind": "state", "offset": 0.0}
    await post(ports, old, world="w1")
    await post(ports, {"id": "s2", "kind": "state", "offset": 5.0}, world="w2")
    assert await post(ports, old, world="w1") == 0
    assert await ports.db.read(settings.upstream) == ("w2", 5.0)


async def test_a_status_with_an_offset_moves_no_clock(ports: Ports) -> None:
    await post(ports, {**status("m", "sent"), "offset": 99.0})
    assert await ports.db.read(settings.upstream) == (None, 0.0)


async def test_a_kind_that_we_do_not_know_is_kept(ports: Ports) -> None:
    assert await post(ports, {"id": "x", "kind": "typing", "status": "composing", "message": "m"}) == 1


async def test_a_forged_body_changes_nothing(ports: Ports) -> None:
    message = await a_message(ports)
    body = json.dumps({"world": "w1", "events": [status(message, "delivered")]}).encode()
    for headers in ({}, {SIGNATURE: sign("another", body, int(time.time()))}, {SIGNATURE: sign(SECRET, body, int(time.time()) - 301)}):
        with pytest.raises(Fault) as caught:
            await events.absorb(ports, headers, body)
        assert caught.value.situation.code == 1005
    assert await told(ports) == []
