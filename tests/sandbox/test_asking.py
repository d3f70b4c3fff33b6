"""Phones that ask for media again: what they send, what they make of answers honest and not, and how long they wait."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import apsw
import pytest

from satchel_sandbox import retry
from satchel_sandbox.retry import Answer, Parcel

from .crypt import Sealed, b64, seal
from .node import Node
from .running import PHONE, Json, Sandbox, envelope, running

pytestmark = pytest.mark.anyio
OTHER = "12025550112"
SEALED = seal(b"plain bytes")


def asked(node: Node, message: str = "m") -> list[Json]:
    """Confirmed requests for a message's media."""
    return [event for event in node.events if event["kind"] == "media_retry" and event["message"] == message]


async def answer(sandbox: Sandbox, request: Json, said: Answer, key: bytes = SEALED.key, **changes: Any) -> int:
    """As the node does; the status."""
    parcel = retry.seal_answer(key, request["message"], said)
    body = {"recipient": request["recipient"], "enc_p": b64(parcel.enc_p), "enc_iv": b64(parcel.enc_iv), **changes}
    return await tell(sandbox, request["message"], body)


async def tell(sandbox: Sandbox, message: str, body: Json) -> int:
    return (await sandbox.call("POST", f"/wire/messages/{message}/media-retry", json=body, headers=sandbox.authorization))[0]


async def expired(sandbox: Sandbox, node: Node, *numbers: str, sealed: Sealed = SEALED) -> list[Json]:
    """Phones whose media are over ask; their requests."""
    for number in numbers:
        await sandbox.phone(number, auto_download=False)
        await sandbox.deliver("m" if number == PHONE else number, sealed, to=number)
    await sandbox.advance("15d")
    for number in numbers:
        await sandbox.act("download", number=number, wait="0s")
    found = ["m" if number == PHONE else number for number in numbers]
    await node.until(lambda: all(asked(node, name) for name in found))
    return [asked(node, name)[0] for name in found]


async def came(sandbox: Sandbox, number: str = PHONE) -> tuple[str, str | None]:
    """State and reason of the newest media once it has come to rest."""
    media = (await sandbox.messages(number=number))[-1]["media"]
    return media["state"], media.get("reason")


async def test_p15_a_phone_asks_and_downloads_from_the_new_address(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    old = (await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages/m/envelope"))[1]["media"]["direct_path"]
    assert (request["recipient"], request["direct_path"]) == (PHONE, old)
    retry.open_request(SEALED.key, "m", Parcel(base64.b64decode(request["enc_p"]), base64.b64decode(request["enc_iv"])))
    assert await sandbox.state("m") == "requesting"
    _, copy = await sandbox.upload(SEALED)
    assert copy["direct_path"] != old
    assert await answer(sandbox, request, Answer("SUCCESS", copy["direct_path"])) == 200
    assert await came(sandbox) == ("downloaded", None)
    assert (await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/m/media"))[2] == SEALED.plain


@pytest.mark.parametrize(
    ("said", "body", "state"),
    [
        (Answer("NOT_FOUND"), None, "unavailable"),
        (Answer("DECRYPTION_ERROR"), None, "unavailable"),
        (Answer("GENERAL_ERROR"), None, "not_downloaded"),
        (None, {"error": 2}, "unavailable"),
        (None, {"error": 3}, "unavailable"),
        (None, {"error": 0}, "not_downloaded"),
        (None, {"error": 77}, "not_downloaded"),
    ],
)
async def test_what_a_phone_makes_of_answers(sandbox: Sandbox, node: Node, said: Answer | None, body: Json | None, state: str) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    status = await answer(sandbox, request, said) if said else await tell(sandbox, "m", {"recipient": PHONE, **(body or {})})
    assert (status, (await came(sandbox))[0]) == (200, state)


async def test_a_sender_that_cannot_for_now_is_asked_again_a_minute_later(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    await answer(sandbox, request, Answer("GENERAL_ERROR"))
    assert await sandbox.advance("30s") == []
    assert await sandbox.advance("31s") == [("download", "m")]
    await node.until(lambda: len(asked(node)) == 2)


async def test_unavailable_media_are_asked_for_again_by_a_person(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    await answer(sandbox, request, Answer("NOT_FOUND"))
    assert (await came(sandbox))[0] == "unavailable"
    await sandbox.act("download", "m", wait="0s")
    await node.until(lambda: len(asked(node)) == 2)
    _, copy = await sandbox.upload(SEALED)
    await answer(sandbox, asked(node)[1], Answer("SUCCESS", copy["direct_path"]))
    assert (await came(sandbox))[0] == "downloaded"


async def test_answers_that_do_not_open_change_nothing(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    _, copy = await sandbox.upload(SEALED)
    said = Answer("SUCCESS", copy["direct_path"])
    assert await answer(sandbox, request, said, key=bytes(32)) == 200  # forged
    other = retry.seal_answer(SEALED.key, "another", said)
    assert await tell(sandbox, "m", {"recipient": PHONE, "enc_p": b64(other.enc_p), "enc_iv": b64(other.enc_iv)}) == 200
    assert await answer(sandbox, request, said, enc_iv=b64(bytes(7))) == 200
    assert await sandbox.state("m") == "requesting"
    wrong: Any
    for wrong in (
        {"recipient": PHONE},
        {"recipient": PHONE, "enc_p": "x", "enc_iv": "!"},
        {"recipient": PHONE, "error": -1},
        [],
        {"error": 2},
    ):
        assert await tell(sandbox, "m", wrong) == 400, wrong
    assert await answer(sandbox, request, said, recipient=OTHER) == 404
    assert await answer(sandbox, request, said, world="w0") == 409
    assert await answer(sandbox, request, said) == 200
    assert (await came(sandbox))[0] == "downloaded"


@pytest.mark.parametrize("forged", [2, 3, 0])
async def test_a_bare_error_counts_until_an_answer_opens(sandbox: Sandbox, node: Node, forged: int) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    assert await tell(sandbox, "m", {"recipient": PHONE, "error": forged}) == 200
    assert (await came(sandbox))[0] in ("unavailable", "not_downloaded")
    _, copy = await sandbox.upload(SEALED)
    assert await answer(sandbox, request, Answer("SUCCESS", copy["direct_path"])) == 200
    assert (await came(sandbox))[0] == "downloaded"
    assert await tell(sandbox, "m", {"recipient": PHONE, "error": forged}) == 200
    assert (await came(sandbox))[0] == "downloaded"


async def test_a_replayed_answer_changes_nothing(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    await answer(sandbox, request, Answer("NOT_FOUND"))
    assert await answer(sandbox, request, Answer("SUCCESS", "/v/nowhere")) == 200
    assert (await came(sandbox))[0] == "unavailable"
    assert len(asked(node)) == 1


async def test_addresses_that_lead_nowhere_end_after_three(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    for n in range(1, 4):
        await node.until(lambda n=n: len(asked(node)) == n)  # type: ignore[misc]
        await answer(sandbox, asked(node)[-1], Answer("SUCCESS", f"/v/nowhere{n}"))
    state, reason = await came(sandbox)
    assert (state, (reason or "").startswith("uploaded again in vain")) == ("unavailable", True)
    assert [event["direct_path"] for event in asked(node)] == [request["direct_path"], "/v/nowhere1", "/v/nowhere2"]


async def test_nobody_answers_in_time_and_then_does(node: Node) -> None:
    async with running(node.url, patience=0.2) as sandbox:
        (request,) = await expired(sandbox, node, PHONE)
        state, reason = await came(sandbox)
        assert (state, "has not answered within 0.2 s" in (reason or "")) == ("unavailable", True)
        _, copy = await sandbox.upload(SEALED)
        await answer(sandbox, request, Answer("SUCCESS", copy["direct_path"]))
        await until_downloaded(sandbox)


async def until_downloaded(sandbox: Sandbox, number: str = PHONE) -> None:
    query = {"match": "state=downloaded", "wait": "8s"}
    _, found = await sandbox.call("GET", f"/sandbox/phones/{number}/messages", params=query)
    assert found["messages"]


async def test_a_restart_goes_on_waiting(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        (request,) = await expired(sandbox, node, PHONE)
    async with running(node.url, tmp_path) as sandbox:
        assert await sandbox.state("m") == "requesting"
        _, copy = await sandbox.upload(SEALED)
        await answer(sandbox, request, Answer("SUCCESS", copy["direct_path"]))
        await until_downloaded(sandbox)
    assert len(asked(node)) == 1


async def test_a_computer_whose_clock_was_set_back_waits_anew(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await expired(sandbox, node, PHONE)
    db = apsw.Connection(str(tmp_path / "sandbox.sqlite"))
    db.execute("UPDATE message SET asked_at = asked_at + 86400")
    db.close()
    async with running(node.url, tmp_path, patience=0.2) as sandbox:
        assert (await came(sandbox))[0] == "unavailable"


async def test_at_most_32_requests_of_a_phone_are_open(sandbox: Sandbox, node: Node) -> None:
    await sandbox.phone(auto_download=False)
    for n in range(40):
        await sandbox.deliver(f"m{n}", SEALED)
    await sandbox.advance("15d")
    await sandbox.act("download", wait="0s")

    def requests() -> list[Json]:
        return [event for event in node.events if event["kind"] == "media_retry"]

    await node.until(lambda: len(requests()) == 32)
    assert {message["media"]["state"] for message in await sandbox.messages("0s")} <= {"requesting", "downloading"}
    for request in requests()[:3]:
        await answer(sandbox, request, Answer("NOT_FOUND"))
    await node.until(lambda: len(requests()) == 35)
    await answer(sandbox, requests()[3], Answer("NOT_FOUND"))
    await node.until(lambda: len(requests()) == 36)


async def test_a_phone_that_went_offline_fetches_when_it_is_back(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    await sandbox.act("offline")
    _, copy = await sandbox.upload(SEALED)
    await answer(sandbox, request, Answer("SUCCESS", copy["direct_path"]))
    assert await sandbox.state("m") == "queued"
    await sandbox.act("online")
    assert (await came(sandbox))[0] == "downloaded"


async def test_a_phone_that_is_deleted_is_told_nothing(sandbox: Sandbox, node: Node) -> None:
    (request,) = await expired(sandbox, node, PHONE)
    async with sandbox.session.delete(f"{sandbox.url}/sandbox/phones/{PHONE}") as gone:
        assert gone.status == 204
    assert await answer(sandbox, request, Answer("NOT_FOUND")) == 404


async def test_a_forwarded_message_asks_the_business_it_came_from(sandbox: Sandbox, node: Node) -> None:
    await sandbox.deliver("m", SEALED)
    await sandbox.messages()
    await sandbox.phone(OTHER, auto_download=False)
    status, done = await sandbox.call(
        "POST", f"/sandbox/phones/{PHONE}/actions", json={"do": "forward", "message": "m", "to": "+1 202 555 0112"}
    )
    assert (status, done["message"]["from"], done["message"]["forwarded"]) == (200, PHONE, True)
    await sandbox.advance("15d")
    await sandbox.act("download", number=OTHER, wait="0s")
    await node.until(lambda: bool(asked(node)))
    (request,) = asked(node)
    assert request["recipient"] == OTHER
    _, copy = await sandbox.upload(SEALED)
    await answer(sandbox, request, Answer("SUCCESS", copy["direct_path"]))
    assert (await came(sandbox, OTHER))[0] == "downloaded"
    assert {event["message"] for event in node.events if event["kind"] == "status"} == {"m"}  # nothing is told of what phones forward


async def test_forwarding_is_refused(sandbox: Sandbox) -> None:
    await sandbox.text("m")
    for body, expected in (
        ({"message": "m"}, (400, "invalid")),
        ({"to": OTHER}, (400, "invalid")),
        ({"message": "m", "to": PHONE}, (400, "invalid")),
        ({"message": "m", "to": "12025550103"}, (404, "not_on_network")),
        ({"message": "m", "to": "x"}, (400, "invalid_number")),
        ({"message": "n", "to": OTHER}, (404, "unknown_message")),
    ):
        status, refusal = await sandbox.call("POST", f"/sandbox/phones/{PHONE}/actions", json={"do": "forward", **body})
        assert (status, refusal["error"]) == expected, body
    await sandbox.act("offline")
    status, refusal = await sandbox.call("POST", f"/sandbox/phones/{PHONE}/actions", json={"do": "forward", "message": "m", "to": OTHER})
    assert (status, refusal["error"]) == (409, "offline")


async def test_how_long_blobs_live_is_a_setting(node: Node) -> None:
    async with running(node.url, life=86400.0) as sandbox:
        _, before = await sandbox.upload(SEALED)
        await sandbox.send(envelope("m", SEALED.media(before["direct_path"])))
        await sandbox.messages()
        await sandbox.advance("23h")
        assert (await sandbox.bytes(before["direct_path"]))[0] == 200
        await sandbox.advance("1h")
        assert (await sandbox.bytes(before["direct_path"]))[0] == 410
        await sandbox.call("POST", "/sandbox/reset")
        _, copy = await sandbox.upload(SEALED)
        _, state = await sandbox.call("GET", "/wire/state", headers=sandbox.authorization)
        assert copy["expires"] == pytest.approx(state["now"] + 86400, abs=5)


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "empty"])
async def test_a_damaged_blob_is_unavailable_and_not_asked_for(node: Node, tmp_path: Path, damage: str) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await sandbox.phone(auto_download=False)
        await sandbox.deliver("m", SEALED)
        (file,) = tmp_path.glob("vault/*/*.enc")
        blob = file.read_bytes()
        file.write_bytes({"flipped": bytes([blob[0] ^ 1]) + blob[1:], "cut": blob[:-16], "longer": blob + bytes(16), "empty": b""}[damage])
        media = (await sandbox.act("download", "m"))["message"]["media"]
        assert media["state"] == "unavailable"
        assert asked(node) == []
        assert not list(tmp_path.glob("phones/*/*"))


async def test_a_client_that_vanishes_while_it_downloads(sandbox: Sandbox) -> None:
    big = seal(bytes(8_000_000))
    _, copy = await sandbox.upload(big)
    host, port = sandbox.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {copy['direct_path']} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readexactly(1000)
    writer.transport.abort()
    assert (await sandbox.bytes(copy["direct_path"]))[2] == big.blob


async def test_the_node_knows_the_time_before_downloads_are_done(sandbox: Sandbox, node: Node) -> None:
    """An advance answers after the node has taken the news, also when phones are still busy and nothing else is to be told."""
    await sandbox.call("PUT", "/sandbox/chaos", json={"download": {"delay": "4s"}})
    await sandbox.deliver("m")
    await node.until(lambda: node.statuses("m") == ["sent", "delivered"])
    await sandbox.advance("1h")
    assert [event["offset"] for event in node.events if event["kind"] == "state"][-1] == 3600.0


async def test_a_reset_while_phones_ask(sandbox: Sandbox, node: Node) -> None:
    """Waits end with their world, also where news and the end come at the same moment."""
    for _ in range(3):
        await sandbox.phone(auto_download=False)
        for n in range(40):
            await sandbox.deliver(f"m{n}", SEALED)
        await sandbox.advance("15d")
        await sandbox.act("download", wait="0s")
        async with asyncio.timeout(10):
            await sandbox.call("POST", "/sandbox/reset")
