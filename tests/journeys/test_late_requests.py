"""What phones ask for when the 14 days are over, honest or not: what it brings, and what is counted. Real processes, on both engines."""

import base64
import json
import re
import time
from collections.abc import Iterator

import pytest

from satchel.upstream.sandbox import retry, wire

from ..conftest import Place
from .late import Media, ask, at_phone, envelope, steps
from .running import SECRET, Json, Node, eventually, running


@pytest.fixture(scope="module")
def node(shared_place: Place) -> Iterator[Node]:
    """One node for all: each test has phones and media of its own, and the clock only moves forward."""
    with running(shared_place) as node:
        yield node


def told(node: Node, result: str) -> float:
    """Phones that were told so, over all processes that live, as of their last beat: a moment old."""
    lines = re.findall(r"satchel_reuploads_total\{([^}]*)\} ([0-9.]+)", node.call("GET", "/metrics").text)
    return sum(float(value) for labels, value in lines if f'result="{result}"' in labels)


def test_figures_count_what_phones_were_told(node: Node) -> None:
    fine, gone = at_phone(node), at_phone(node)
    assert node.call("DELETE", f"/v1/media/{gone[0]}").status_code == 200
    before = {result: told(node, result) for result in ("success", "not_found")}
    assert ask(node, fine)["state"] == "downloaded"
    assert ask(node, gone, advance="")["state"] == "unavailable"
    eventually(
        lambda: all(told(node, result) >= count + 1 for result, count in before.items()), 5, lambda: node.call("GET", "/metrics").text
    )
    assert "satchel_media_unavailable_total" in node.call("GET", "/metrics").text


def post(node: Node, *events: Json, world: str | None = None) -> int:
    """As the sandbox does, whoever does it; how many events were new."""
    world = world or node.http.get(f"{node.sandbox_url}/sandbox/status").json()["world"]
    body = json.dumps({"world": world, "events": events}).encode()
    signed = {"Satchel-Sandbox-Signature": wire.sign(SECRET, body, int(time.time())), "Content-Type": "application/json"}
    answer = node.http.post(f"{node.url}/_satchel/v1/upstream-events", content=body, headers=signed)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["taken"])


def request(node: Node, sent: Media, id_: str, **changes: object) -> Json:
    """An honest request of the phone, or with changes; `key` and `seal_for` of what is sealed, not of what is sent."""
    known = envelope(node, sent)
    key = changes.pop("key", base64.b64decode(known["media_key"]))
    sealed = retry.seal_request(key, str(changes.pop("seal_for", sent[2])))  # type: ignore[arg-type]
    parts = {"enc_p": base64.b64encode(sealed.enc_p).decode(), "enc_iv": base64.b64encode(sealed.enc_iv).decode()}
    named = {"message": sent[2], "recipient": sent[1], "direct_path": known["direct_path"], "at": time.time() + 1e9}
    return {"id": id_, "kind": "media_retry", **named, **parts, **changes}


def test_forged_requests_bring_no_upload(node: Node) -> None:
    sent, other = at_phone(node), at_phone(node)
    node.advance("15d")
    before = told(node, "undecryptable")
    forged = [
        request(node, sent, f"{sent[2]}-1", key=bytes(32)),
        request(node, sent, f"{sent[2]}-2", seal_for=other[2]),
        request(node, sent, f"{sent[2]}-3", enc_p="not base64"),
        request(node, sent, f"{sent[2]}-4", enc_iv=""),
        request(node, sent, f"{sent[2]}-5", enc_p="A" * 100_000),
        {"id": f"{sent[2]}-6", "kind": "media_retry", "message": sent[2], "recipient": sent[1]},
        {**request(node, other, f"{sent[2]}-7"), "message": sent[2], "recipient": sent[1]},  # replayed for another message
    ]
    assert post(node, *forged) == 7
    eventually(lambda: told(node, "undecryptable") >= before + 7, 10, lambda: node.log.read_text()[-2000:])
    assert node.http.get(node.sandbox_url + envelope(node, sent)["direct_path"]).status_code == 410
    assert ask(node, sent, advance="")["state"] == "downloaded"


def test_a_replayed_request_changes_nothing(node: Node) -> None:
    sent = at_phone(node)
    node.advance("15d")
    honest = request(node, sent, f"{sent[2]}-honest", at=time.time())
    assert post(node, honest) == 1
    eventually(lambda: len(steps(node, sent)) == 2, 10, lambda: str(steps(node, sent)))
    assert post(node, honest) == 0
    assert post(node, {**honest, "id": f"{sent[2]}-again"}) == 1
    eventually(lambda: len(steps(node, sent)) == 4, 10, lambda: str(steps(node, sent)))
    assert node.phone(sent[1])[-1]["media"]["state"] == "not_downloaded"  # it had not asked
    assert ask(node, sent, advance="")["state"] == "downloaded"


def test_requests_for_messages_nobody_knows(node: Node) -> None:
    sent = at_phone(node)
    unknown = [request(node, sent, f"{sent[2]}-{name or 'none'}", message=name) for name in ("gBEGnobody", "", "x" * 100)]
    assert post(node, *unknown) == 3
    assert post(node, request(node, sent, f"{sent[2]}-world"), world="w0") in (0, 1)
    assert ask(node, sent)["state"] == "downloaded"
    assert node.call("GET", "/_satchel/readyz").status_code == 200
