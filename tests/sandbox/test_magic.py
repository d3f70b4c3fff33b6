"""Numbers that behave in a way of their own, used as an integration would: by sending to them and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from .crypt import opened, seal
from .node import Node
from .running import Sandbox, envelope

pytestmark = pytest.mark.anyio
CONTACTS = json.loads((Path(__file__).parents[2] / "wire" / "contacts.json").read_text("utf-8"))


def number(last: int) -> str:
    return f"1202555{last:04}"


async def test_0101_delivers_and_reads(sandbox: Sandbox, node: Node) -> None:
    await sandbox.deliver("m", to=number(101))
    await node.until(lambda: node.statuses("m") == ["sent", "delivered", "read"])
    assert (await sandbox.messages(number=number(101)))[0]["media"]["state"] == "downloaded"


async def test_0102_is_never_online(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("m", to=number(102))
    await sandbox.text("other")
    await node.until(lambda: node.statuses("other") == ["sent", "delivered"])
    assert node.statuses("m") == ["sent"]
    assert await sandbox.refused("online", number=number(102)) == (409, "never_online")


async def test_0103_is_not_on_the_network(sandbox: Sandbox) -> None:
    status, refusal = await sandbox.send(envelope("m", None, to=number(103)))
    assert (status, refusal["error"]) == (404, "not_on_network")
    assert (await sandbox.call("POST", "/sandbox/phones", json={"number": number(103)}))[1]["error"] == "not_on_network"


async def test_0104_takes_text_but_no_media(sandbox: Sandbox) -> None:
    sealed = seal(b"x")
    _, copy = await sandbox.upload(sealed)
    status, refusal = await sandbox.send(envelope("m", sealed.media(copy["direct_path"]), to=number(104)))
    assert (status, refusal["error"]) == (403, "upload_refused")
    await sandbox.text("t", to=number(104))


async def test_0105_fetches_after_15_days_and_has_to_ask(sandbox: Sandbox, node: Node) -> None:
    await sandbox.deliver("m", to=number(105))
    assert [message["media"]["state"] for message in await sandbox.messages(number=number(105))] == ["not_downloaded"]
    await node.until(lambda: node.statuses("m") == ["sent", "delivered"])
    assert await sandbox.advance("14d") == []
    assert await sandbox.advance("1d") == [("download", "m")]
    assert await sandbox.state("m", number(105)) == "requesting"


async def test_0105_fetches_what_was_sent_again_meanwhile(sandbox: Sandbox) -> None:
    await sandbox.deliver("m", to=number(105))
    await sandbox.advance("10d")
    await sandbox.deliver("again")
    await sandbox.advance("6d")
    assert await sandbox.state("m", number(105)) == "downloaded"


async def test_0106_has_blocked_the_business(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("m", to=number(106))
    await sandbox.text("other")
    await node.until(lambda: node.statuses("other") == ["sent", "delivered"])
    assert node.statuses("m") == ["sent"]
    assert await sandbox.messages("0s", number=number(106)) == []


async def test_0107_takes_30_seconds_a_hop(sandbox: Sandbox, node: Node) -> None:
    await sandbox.deliver("m", to=number(107))
    assert await sandbox.advance("29s") == []
    assert await sandbox.advance("1s") == [("delivered", "m")]
    assert await sandbox.state("m", number(107)) == "queued"
    assert await sandbox.advance("30s") == [("download", "m")]
    assert await sandbox.state("m", number(107)) == "downloaded"
    at = {event["status"]: event["at"] for event in node.events if event.get("message") == "m"}
    assert at["delivered"] - at["sent"] == pytest.approx(30)


async def test_0108_answers_each_image_with_the_same_image(sandbox: Sandbox, node: Node) -> None:
    await sandbox.deliver("m", seal(b"a picture"), to=number(108))
    await sandbox.deliver("d", seal(b"a document", "document"), to=number(108))
    await node.until(lambda: any(event["kind"] == "message" for event in node.events))
    (answer,) = (event for event in node.events if event["kind"] == "message")
    assert (answer["from"], answer["type"], "caption" in answer) == (number(108), "image", False)
    assert opened(answer["media"], (await sandbox.bytes(answer["media"]["direct_path"]))[2]) == b"a picture"
    await node.until(lambda: node.statuses("d") == ["sent", "delivered"])
    mine = [message["id"] for message in await sandbox.messages(number=number(108)) if message.get("mine")]
    assert mine == [answer["message"]]


async def test_0109_has_read_receipts_off(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("m", to=number(109))
    await sandbox.act("open", number=number(109))
    await sandbox.text("other")
    await node.until(lambda: node.statuses("other") == ["sent", "delivered"])
    assert node.statuses("m") == ["sent", "delivered"]


async def test_0110_is_rate_limited(sandbox: Sandbox) -> None:
    async with sandbox.session.post(
        f"{sandbox.url}/wire/messages", json=envelope("m", None, to=number(110)), headers=sandbox.authorization
    ) as answer:
        assert (answer.status, answer.headers["Retry-After"], (await answer.json())["error"]) == (429, "60", "rate_limited")


@pytest.mark.parametrize("case", CONTACTS, ids=lambda case: case["name"])
async def test_contact_vectors(sandbox: Sandbox, case: dict[str, Any]) -> None:
    status, found = await sandbox.call("POST", "/wire/contacts", json=case["body"], headers=sandbox.authorization)
    if "error" in case:
        assert (status, found["error"]) == (400, case["error"])
    else:
        asked = zip(case["body"]["numbers"], case["on_network"], strict=True)
        assert (status, found) == (200, {"contacts": [{"number": number, "on_network": is_on} for number, is_on in asked]})


async def test_at_most_a_thousand_contacts(sandbox: Sandbox) -> None:
    for count, expected in ((1000, 200), (1001, 400)):
        body = {"numbers": [number(111)] * count}
        assert (await sandbox.call("POST", "/wire/contacts", json=body, headers=sandbox.authorization))[0] == expected
    assert (await sandbox.call("POST", "/wire/contacts", json={"numbers": []}))[0] == 401


async def test_no_phone_has_sent_anything_that_could_be_read(sandbox: Sandbox) -> None:
    status, refusal = await sandbox.call("POST", "/wire/messages/gBEG%2F1/read", headers=sandbox.authorization)
    assert (status, refusal["error"]) == (404, "unknown_message")
