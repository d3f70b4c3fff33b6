"""What the node's own tables say, read once all is quiet; and gc as an operator does it, with what is young counted as old."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from satchel import build
from satchel.db import Tx

from ...conftest import Place

T = TypeVar("T")


@dataclass(frozen=True)
class Callback:
    id: str
    contact: str
    state: str


@dataclass(frozen=True)
class Collected:
    """A media that gc took. `unused_for`: seconds of network time."""

    id: str
    direction: str
    unused_for: float


@dataclass(frozen=True)
class Truth:
    """`statuses`, `faults`: by message; `callbacks`: in the order in which they were put down; `live`: media; `renditions`: files.

    `bereft`: messages whose media gc took.
    """

    states: dict[str, str]
    statuses: dict[str, set[str]]
    faults: dict[str, list[dict[str, Any]]]
    callbacks: list[Callback]
    live: dict[str, str]
    not_live: set[str]
    renditions: set[str]
    collected: list[Collected]
    bereft: set[str]


def look(place: Place) -> Truth:
    """All of it at once."""
    return _read(place, _truth)


def busy(place: Place) -> list[str]:
    """Lanes that have something to do, now or later, and what waits beside them."""

    def run(tx: Tx) -> list[str]:
        lanes = tx.all("SELECT name FROM lane WHERE run_at IS NOT NULL OR lease IS NOT NULL OR parked_on IS NOT NULL")
        messages = tx.all("SELECT id FROM message WHERE state = 'waiting' AND direction = 'out'")
        callbacks = tx.all("SELECT cause FROM callback WHERE state = 'waiting'")
        return [str(row[0]) for row in (*lanes, *messages, *callbacks)]

    return _read(place, run)


def files(folder: Path) -> set[str]:
    """Names in a folder of the volume."""
    return {path.name for path in folder.iterdir()}


BY_GC = "substr(gone_by, 1, 6) = 'gc of '"


def _truth(tx: Tx) -> Truth:
    states: dict[str, str] = dict(tx.all("SELECT id, state FROM message WHERE direction = 'out'"))
    statuses: defaultdict[str, set[str]] = defaultdict(set)
    faults = {}
    for message_id, status, fault in tx.all("SELECT message_id, status, fault FROM status"):
        statuses[message_id].add(status)
        if fault is not None:
            faults[message_id] = msgspec.json.decode(fault)
    media = tx.all("SELECT id, state, sha256 FROM media")
    return Truth(
        states=states,
        statuses=dict(statuses),
        faults=faults,
        callbacks=[Callback(*row) for row in tx.all("SELECT id, wa_id, state FROM callback ORDER BY seq")],
        live={id_: sha256 for id_, state, sha256 in media if state == "live"},
        not_live={id_ for id_, state, _ in media if state != "live"},
        renditions={row[0] for row in tx.all("SELECT file FROM rendition WHERE file IS NOT NULL")},
        collected=[Collected(*row) for row in tx.all(f"SELECT id, direction, gone_net - last_used_net FROM media WHERE {BY_GC}")],
        bereft={row[0] for row in tx.all(f"SELECT message.id FROM message JOIN media ON media.id = media_id WHERE {BY_GC}")},
    )


def _read(place: Place, fn: Callable[[Tx], T]) -> T:
    async def read() -> T:
        db = build.database(place.settings)
        try:
            return await db.read(fn)
        finally:
            await db.close()

    return asyncio.run(read())
