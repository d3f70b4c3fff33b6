"""Faults on demand, stage by stage, and the same ones again for the same seed."""

import asyncio
from typing import Any

import pytest

from .crypt import seal
from .node import Node
from .running import PHONE, Sandbox, envelope

pytestmark = pytest.mark.anyio


async def chaos(sandbox: Sandbox, **stages: Any) -> None:
    status, set_ = await sandbox.call("PUT", "/sandbox/chaos", json=stages)
    assert status == 200, set_
    assert (await sandbox.call("GET", "/sandbox/chaos"))[1] == set_ == stages


async def test_uploads_fail_as_told(sandbox: Sandbox) -> None:
    await chaos(sandbox, upload={"fail": 1.0, "code": 507})
    for query in ("", "?resume=1"):
        status, refusal = await sandbox.upload(seal(b"x"), query)
        assert (status, refusal["error"]) == (507, "chaos")
    await chaos(sandbox)
    assert (await sandbox.upload(seal(b"x")))[0] == 200


async def test_dispatch_fails_and_stores_nothing(sandbox: Sandbox) -> None:
    await chaos(sandbox, dispatch={"fail": 1.0})
    assert (await sandbox.send(envelope("m", None)))[0] == 503
    await chaos(sandbox)
    assert await sandbox.messages("0s") == []
    await sandbox.text("m")


async def test_downloads_fail_for_phones_and_for_anybody(sandbox: Sandbox) -> None:
    await chaos(sandbox, download={"fail": 1.0})
    message = await sandbox.deliver("m")
    (shown,) = await sandbox.messages()
    assert (shown["media"]["state"], shown["media"]["reason"]) == ("unavailable", "chaos: the media server answered 503")
    assert (await sandbox.bytes(message["media"]["direct_path"]))[0] == 503
    await chaos(sandbox)
    assert (await sandbox.act("download", "m"))["message"]["media"]["state"] == "downloaded"


async def test_events_are_repeated_until_they_arrive(sandbox: Sandbox, node: Node) -> None:
    await chaos(sandbox, events={"fail": 1.0})
    await sandbox.text("m")
    await sandbox.messages()
    assert node.statuses("m") == []
    await chaos(sandbox)
    await node.until(lambda: node.statuses("m") == ["sent", "delivered"])


async def test_delay(sandbox: Sandbox) -> None:
    await chaos(sandbox, dispatch={"delay": "150ms"})
    loop = asyncio.get_running_loop()
    began = loop.time()
    await sandbox.text("m")
    assert loop.time() - began > 0.14


async def outcomes(sandbox: Sandbox, prefix: str) -> list[int]:
    return [(await sandbox.send(envelope(f"{prefix}{n}", None)))[0] for n in range(60)]


async def test_the_same_seed_fails_the_same_ones(sandbox: Sandbox) -> None:
    await chaos(sandbox, dispatch={"fail": 0.3}, upload={"fail": 0.5})
    seen: list[list[int]] = []
    for seed in (7, 7, 8):
        assert (await sandbox.call("POST", "/sandbox/seed", json={"random_seed": seed}))[0] == 200
        if seen:
            await sandbox.upload(seal(b"x"))  # another stage throws dice of its own
        seen.append(await outcomes(sandbox, f"{len(seen)}-"))
    assert seen[0] == seen[1] != seen[2]
    assert 5 < seen[0].count(503) < 35
    assert set(seen[0]) == {200, 503}


async def test_a_reset_ends_it(sandbox: Sandbox) -> None:
    await chaos(sandbox, dispatch={"fail": 1.0})
    await sandbox.call("POST", "/sandbox/reset")
    assert (await sandbox.call("GET", "/sandbox/chaos"))[1] == {}
    await sandbox.text("m")


WRONG = [
    {"link_fetch": {"fail": 0.1}},
    {"upload": {"fail": 1.1}},
    {"upload": {"fail": -1}},
    {"upload": {"code": 200}},
    {"upload": {"delay": "soon"}},
    {"upload": {"delay": "1d"}},
    {"upload": {"rate": 1}},
    {"events": {"fail": 0.5, "code": 500}},
    {"upload": 0.1},
]


async def test_wrong_chaos_changes_nothing(sandbox: Sandbox) -> None:
    for wrong in WRONG:
        status, refusal = await sandbox.call("PUT", "/sandbox/chaos", json=wrong)
        assert (status, refusal["error"]) == (400, "invalid"), wrong
    assert (await sandbox.call("GET", "/sandbox/chaos"))[1] == {}
    assert (await sandbox.call("POST", "/sandbox/seed", json={"random_seed": -1}))[0] == 400


async def test_status(sandbox: Sandbox, node: Node) -> None:
    await sandbox.text("m")
    await sandbox.act("offline")
    await sandbox.text("n")
    await node.until(lambda: node.statuses("n") == ["sent"] and len(node.statuses("m")) == 2)
    await chaos(sandbox, download={"delay": "1s"})
    _, status = await sandbox.call("GET", "/sandbox/status")
    assert {name: status[name] for name in ("phones", "messages", "waiting", "chaos", "offset")} == {
        "phones": 1,
        "messages": 1,
        "waiting": 1,
        "chaos": ["download"],
        "offset": 0.0,
    }
    assert (await sandbox.call("GET", f"/sandbox/phones/{PHONE}"))[1]["waiting"] == 1
