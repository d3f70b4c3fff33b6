"""Upstream events: signature, order, repetition, and a node that refuses or is away."""

import asyncio
import hmac
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from satchel_sandbox import outbox
from satchel_sandbox.events import sign

from .node import Node, listening
from .running import SECRET, Sandbox, envelope, running

pytestmark = pytest.mark.anyio
SIGNATURES = json.loads((Path(__file__).parents[2] / "wire" / "events.json").read_text("utf-8"))


@pytest.mark.parametrize("case", SIGNATURES, ids=lambda case: case["name"])
def test_signature_vectors(case: dict[str, Any]) -> None:
    ours = sign(case["secret"], case["body"].encode(), case["t"])
    assert (ours == case["signature_header"]) is case["valid"]


async def test_a_post_is_signed(sandbox: Sandbox, node: Node) -> None:
    await sandbox.send(envelope("m", None))
    await node.until(lambda: node.statuses("m") == ["sent", "delivered"])
    for post in node.posts:
        t = post.header.split(",")[0].removeprefix("t=")
        assert abs(int(t) - time.time()) < 10
        digest = hmac.digest(SECRET.encode(), f"{t}.".encode() + post.body, "sha256").hex()
        assert post.header == f"t={t},v1={digest}"
    sent = next(event for event in node.events if event.get("status") == "sent")
    assert (sent["kind"], sent["recipient"]) == ("status", "12025550111")


async def test_many_messages_share_posts_and_keep_their_order(sandbox: Sandbox, node: Node) -> None:
    node.gate.clear()
    before = len(node.posts)
    await asyncio.gather(*(sandbox.send(envelope(f"m{n}", None)) for n in range(150)))
    node.gate.set()
    await node.until(lambda: all(node.statuses(f"m{n}") == ["sent", "delivered"] for n in range(150)))
    posts = node.posts[before:]
    assert len(posts) < 20
    for post in posts:
        names = [event["message"] for event in post.events]
        assert len(names) == len(set(names)) <= 100


async def test_a_failing_node_is_asked_again_with_the_same_ids(sandbox: Sandbox, node: Node) -> None:
    node.answers.extend([503, 401, 302])
    await sandbox.send(envelope("m", None))
    await node.until(lambda: node.statuses("m") == ["sent", "delivered"])
    attempts = [post for post in node.posts if any(event.get("status") == "sent" for event in post.events)]
    assert [post.status for post in attempts] == [503, 401, 302, 200]
    assert len({post.events[0]["id"] for post in attempts}) == 1
    waits = [later.at - earlier.at for earlier, later in pairwise(attempts)]
    for wait, expected in zip(waits, [0.2, 0.4, 0.8], strict=True):
        assert expected - 0.02 < wait < expected + 0.5


async def test_delivered_waits_for_sent(sandbox: Sandbox, node: Node) -> None:
    node.answers.append(500)
    await sandbox.send(envelope("m", None))
    await sandbox.messages()  # the phone has it long before the node has confirmed `sent`
    await node.until(lambda: node.statuses("m") == ["sent", "delivered"])
    assert [post.events[0]["status"] for post in node.posts[1:]] == ["sent", "sent", "delivered"]


async def test_a_refused_message_does_not_block_the_others(sandbox: Sandbox, node: Node) -> None:
    node.refuses = "bad"
    await asyncio.gather(*(sandbox.send(envelope(name, None)) for name in ("a", "bad", "b", "c")))
    await node.until(lambda: all(node.statuses(name) == ["sent", "delivered"] for name in "abc"))
    assert node.statuses("bad") == []
    node.refuses = ""
    await node.until(lambda: node.statuses("bad") == ["sent", "delivered"])


@pytest.mark.parametrize(("patience", "warned"), [(10.0, False), (0.0, True)])
async def test_a_node_that_comes_late(
    unused_node: str, patience: float, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "BOTH_START", patience)
    tries, second, post = iter(range(1000)), asyncio.Event(), outbox.Poster.post

    async def counted(self: outbox.Poster, body: bytes) -> int:
        if next(tries) == 1:  # the first has come to nothing
            second.set()
        return await post(self, body)

    monkeypatch.setattr(outbox.Poster, "post", counted)
    async with running(unused_node) as sandbox:
        await sandbox.send(envelope("m", None))
        await sandbox.messages()
        await asyncio.wait_for(second.wait(), 10)
        assert ("the node does not answer to upstream events" in caplog.messages) is warned
        async with listening(int(unused_node.rsplit(":", 1)[1])) as node:
            await node.until(lambda: node.statuses("m") == ["sent", "delivered"])
            assert node.events[0]["kind"] == "state"  # the node must know the world before its upstream events
