"""The nemesis run's verdicts themselves: each speaks up when what it watches over is broken. Evidence made by hand, no processes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .nemesis import verdicts
from .nemesis.ledger import Inbound, Ledger, Link, Sent, Upload
from .nemesis.receiver import Told
from .nemesis.truth import Callback, Collected, Truth
from .nemesis.verdicts import Evidence
from .nemesis.world import UNUSED_FOR

A, B = "12025556000", "12025556001"
SHA = hashlib.sha256(b"bytes").hexdigest()


@dataclass
class Case:
    """Two messages to one phone, one message from it, one deleted media: all in order, until a test breaks something."""

    folder: Path
    told: list[Told] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("shared", "renditions", "parts"):
            (self.folder / name).mkdir(parents=True)
        for name in ("u1", "in1"):
            (self.folder / "shared" / name).write_bytes(b"bytes")
        (self.folder / "renditions" / "r1").touch()
        upload = Upload("u1", "document", SHA, raw=True)
        self.ledger = Ledger()
        self.ledger.uploads = {"u1": upload, "u2": Upload("u2", "image", SHA, raw=False)}
        self.ledger.deleted = {"u2"}
        self.ledger.sent[A] = [Sent("m1", A, "one", upload), Sent("m2", A, "two", None)]
        self.ledger.inbound[A] = [Inbound("i1", A, "three", SHA)]
        media = {"state": "downloaded", "sha256": SHA}
        mine = {"id": "i1", "mine": True, "caption": "three", "media": media}
        self.phones: dict[str, list[Any]] = {
            A: [{"id": "m1", "caption": "one", "media": media}, {"id": "m2", "text": "two", "media": None}, mine]
        }
        self.states = {"m1": "handed", "m2": "handed"}
        self.faults: dict[str, list[dict[str, Any]]] = {}
        self.collected = [Collected("l1", "link", UNUSED_FOR)]
        self.bereft: set[str] = set()
        told = [self.status("m1", "sent"), self.status("m1", "delivered"), self.status("m2", "sent"), self.status("m2", "delivered")]
        file = str(self.folder / "shared" / "in1")
        told.append({"messages": [{"id": "i1", "from": A, "type": "image", "image": {"id": "in1", "file": file}}]})
        self.told = [Told(f"cb{n}", body, taken=True) for n, body in enumerate(told)]
        self.callbacks = [Callback(one.id, A, "done") for one in self.told]
        self.answers = {"/v1/media/u1": (200, b"bytes"), "/v1/media/in1": (200, b"bytes"), "/v1/media/u2": (404, b"")}
        self.log = self.folder / "log"
        self.log.write_text("")

    def status(self, message: str, status: str) -> dict[str, Any]:
        return {"statuses": [{"id": message, "recipient_id": A, "status": status}]}

    def wrong(self) -> set[str]:
        """Names of the verdicts that speak up."""
        truth = Truth(self.states, {}, self.faults, self.callbacks, {"u1": SHA, "in1": SHA}, {"u2"}, {"r1"}, self.collected, self.bereft)
        world: Any = SimpleNamespace(volume=self.folder, died=[], log=self.log)
        ask: Any = SimpleNamespace(call=lambda _, path: SimpleNamespace(status_code=self.answers[path][0], content=self.answers[path][1]))
        evidence = Evidence(world, self.ledger, self.told, self.phones, truth, ask)
        return {*verdicts.all_of(evidence, verdicts.VERDICTS), *verdicts.all_of(evidence, verdicts.AFTER_GC)}


def swap(found: list[Any], one: int, other: int) -> list[Any]:
    found[one], found[other] = found[other], found[one]
    return found


def fail(case: Case, code: int) -> None:
    """The first message ended failed, and its callback said so."""
    case.states["m1"], case.faults["m1"] = "failed", [{"code": code}]
    case.phones[A].pop(0)
    case.told[0] = Told("cb0", case.status("m1", "failed"), taken=True)
    del case.told[1], case.callbacks[1]


def vanish(case: Case) -> Case:
    """The first message was sent by a link, and its phone does not get the file."""
    case.ledger.sent[A][0] = Sent("m1", A, "one", Link("http://127.0.0.1/1", "document", SHA, raw=True))
    case.phones[A][0].update(media={"state": "unavailable", "sha256": SHA})
    return case


def undownloaded(case: Case) -> Case:
    case.told[-1].body["messages"][0]["image"] = {"id": "in1", "status": "undownloaded"}
    return case


BROKEN: dict[str, tuple[Callable[[Case], object], set[str]]] = {
    "nothing": (lambda case: None, set()),
    "an upload is gone": (lambda case: case.answers.update({"/v1/media/u1": (404, b"")}), {"uploads_are_readable"}),
    "an upload is another": (lambda case: case.answers.update({"/v1/media/u1": (200, b"other")}), {"uploads_are_readable"}),
    "a deleted one is there": (lambda case: case.answers.update({"/v1/media/u2": (200, b"bytes")}), {"uploads_are_readable"}),
    "a message is lost": (lambda case: case.phones[A].pop(1), {"messages_arrived_once_or_failed"}),
    "one came twice": (
        lambda case: case.phones[A].insert(1, {**case.phones[A][0], "id": "m1b"}),
        {"messages_arrived_once_or_failed", "recipients_got_them_in_order"},
    ),
    "a phone has what nobody sent": (
        lambda case: case.phones[A].append({"id": "x", "text": "x", "media": None}),
        {"messages_arrived_once_or_failed", "recipients_got_them_in_order"},
    ),
    "one failed for want of room": (lambda case: fail(case, 1005), set()),
    "one failed for no good reason": (lambda case: fail(case, 1014), {"failures_have_a_reason"}),
    "they came in another order": (lambda case: swap(case.phones[A], 0, 1), {"recipients_got_them_in_order"}),
    "media came as other bytes": (
        lambda case: case.phones[A][0].update(media={"state": "downloaded", "sha256": "0"}),
        {"media_came_whole"},
    ),
    "media did not come": (
        lambda case: case.phones[A][0].update(media={"state": "unavailable", "sha256": SHA}),
        {"media_came_whole"},
    ),
    "what a link led to did not come": (vanish, {"media_came_whole"}),
    "gc took it": (lambda case: vanish(case).bereft.add("m1"), set()),
    "gc took an upload": (lambda case: case.collected.append(Collected("u1", "up", UNUSED_FOR)), {"gc_kept_to_its_rule"}),
    "gc took what was in use": (lambda case: case.collected.append(Collected("l2", "link", 9.0)), {"gc_kept_to_its_rule"}),
    "a callback was never taken": (lambda case: case.told.__setitem__(1, Told("cb1", case.told[1].body, False)), {"callbacks_arrived"}),
    "a callback still waits": (lambda case: case.callbacks.__setitem__(3, Callback("cb3", A, "waiting")), {"callbacks_arrived"}),
    "a status was never put down": (lambda case: (case.told.pop(3), case.callbacks.pop(3)), {"callbacks_arrived"}),
    "callbacks came in another order": (lambda case: swap(case.told, 3, 4), {"callbacks_came_in_order"}),
    "statuses were put down in another order": (
        lambda case: (swap(case.told, 0, 1), swap(case.callbacks, 0, 1)),
        {"statuses_are_told_in_order"},
    ),
    "messages were told of in another order": (
        lambda case: (swap(case.told, 0, 2), swap(case.callbacks, 0, 2)),
        {"statuses_are_told_in_order"},
    ),
    "a received one was not announced": (lambda case: (case.told.pop(), case.callbacks.pop()), {"inbound_was_announced"}),
    "its file is another": (lambda case: (case.folder / "shared" / "in1").write_bytes(b"x"), {"inbound_was_announced"}),
    "one was announced without its file": (lambda case: undownloaded(case), set()),
    "and cannot be had later": (
        lambda case: (undownloaded(case), case.answers.update({"/v1/media/in1": (404, b"")})),
        {"inbound_was_announced"},
    ),
    "it cannot be fetched": (lambda case: case.answers.update({"/v1/media/in1": (404, b"")}), {"inbound_was_announced"}),
    "a row has no file": (lambda case: (case.folder / "shared" / "u1").unlink(), {"rows_have_their_files"}),
    "a rendition's row has no file": (lambda case: (case.folder / "renditions" / "r1").unlink(), {"rows_have_their_files"}),
    "a file has no row": (lambda case: (case.folder / "shared" / "u3").touch(), {"files_have_their_rows"}),
    "a deleted file lies there": (lambda case: (case.folder / "shared" / "u2").touch(), {"files_have_their_rows"}),
    "a part is left": (lambda case: (case.folder / "parts" / "p").touch(), {"files_have_their_rows"}),
    "an error of ours": (lambda case: case.log.write_text('{"event":"unexpected"}\n'), {"nobody_was_told_nonsense"}),
    "a client was told nonsense": (lambda case: case.ledger.accuse("500"), {"nobody_was_told_nonsense"}),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_verdict_speaks_up(broken: str, tmp_path: Path) -> None:
    case = Case(tmp_path / "volume")
    do, wrong = BROKEN[broken]
    do(case)
    assert case.wrong() == wrong
