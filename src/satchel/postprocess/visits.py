"""What is said to one child about one file: a rendition written down, or a probe, a decision and what follows. Runs in the parent."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from satchel.domain.errors import Fault, Later
from satchel.domain.media import Facts, Rendered
from satchel.domain.plans import Plan
from satchel.postprocess import Decide, Processed
from satchel.postprocess.frames import HELD_BYTES
from satchel.postprocess.source import Source
from satchel.postprocess.worker import Reply, Worker, not_ready

SLOW = {"audio", "video"}


@dataclass(frozen=True)
class Said:
    """A child's last answer, and the plan it was to carry out."""

    reply: Reply
    plan: Plan | None = None


Converse = Callable[[Worker], Said]
"""May be called once more, with another child, when the first has died."""


class Target:
    """The file that a rendition is written to. It does not exist before, and goes with whatever is raised while it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rendered: Rendered | None = None

    @property
    def rendered(self) -> Rendered:
        """What was written; asked only after `fill`."""
        assert self._rendered is not None
        return self._rendered

    def fill(self, worker: Worker, reply: Reply, plan: Plan) -> Said:
        """Write the bytes that follow the answer, in place of what an earlier child left."""
        file, sha256 = self._opened(), hashlib.sha256()
        for block in worker.body(reply.size):
            sha256.update(block)
            _write_all(file, block)
        self._rendered = Rendered(reply.mime, reply.size, sha256.hexdigest())
        return Said(reply, plan)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self._path.open("xb", buffering=0)
        self._file.seek(0)
        self._file.truncate()
        return self._file

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            if kind is not None:
                self._path.unlink(missing_ok=True)


class Visit(Target):
    """A probe, a decision and the rendition, while the child still has the file."""

    def __init__(self, source: Source, decide: Decide, into: Path) -> None:
        super().__init__(into)
        self._source, self._decide = source, decide
        self._facts: Facts | None = None
        self._plan: Plan | None = None
        self._undecided: Fault | Later | None = None

    def __enter__(self) -> "Visit":
        return self

    def __call__(self, worker: Worker) -> Said:
        """The whole conversation. What the decision raises is kept: the child has done nothing wrong."""
        held = self._source.size <= HELD_BYTES
        reply = worker.ask(self._source, hold=held)
        if reply.facts is None:
            return Said(reply)
        self._facts = reply.facts
        try:
            self._plan = plan = self._decide(reply.facts)
        except (Fault, Later) as why:
            self._undecided = why
            return Said(reply)
        if plan.action == "keep":
            return Said(reply)
        return self.fill(worker, worker.ask(self._source, plan, again=held), plan)

    def outcome(self) -> Processed:
        """How it went. Raises what the decision raised."""
        if self._undecided is not None:
            raise self._undecided
        if self._facts is None or self._plan is None:
            raise not_ready("answered a probe with nothing")
        return Processed(self._facts, self._plan, self._rendered, self._source.sha256)


def _write_all(file: BinaryIO, block: memoryview) -> None:
    while block:
        block = block[file.write(block) :]
