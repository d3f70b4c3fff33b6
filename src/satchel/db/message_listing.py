"""Messages that the business sent as people look at them, the newest first, each with its statuses.

A page looks at no more than SCAN rows, however few of them fit: reads run on the event loop. Such a page is short or empty and still has
a next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import msgspec

from satchel.db import Row, Tx, preps, steps
from satchel.domain.statuses import ORDER

SCAN = 5_000
STATES = ("waiting", "handed", *ORDER)
COLUMNS = "seq, id, wa_id, type, state, accepted_at, media_id, link, attempts, retries"
JOINED = ", ".join(f"m.{name}" for name in COLUMNS.split(", "))


@dataclass(frozen=True)
class Wanted:
    """What to list; None: any. `to`: digits; `state`: as it is shown."""

    to: str | None = None
    type: str | None = None
    state: str | None = None


@dataclass(frozen=True)
class Known:
    """A status that came. `at_net`: network time; `errors`: the contract's, for a `failed` that we decided."""

    status: str
    at_net: float
    errors: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True)
class Sent:
    """One message. `accepted_at`: wall time; `attempts`: how often it was put off; `retries`: how often somebody asked for it again.

    `statuses`: the lowest first, however they came.
    """

    seq: int
    id: str
    to: str
    type: str
    row_state: str
    accepted_at: float
    media_id: str | None
    link: str | None
    attempts: int
    retries: int
    statuses: tuple[Known, ...] = ()

    @property
    def state(self) -> str:
        """The highest status; before there is one `waiting`, or `handed` to the network."""
        return self.statuses[-1].status if self.statuses else self.row_state


@dataclass(frozen=True)
class Held:
    """What a waiting message waits for. `behind`: an earlier one to the same number; `why`: what it was put off for last."""

    behind: str | None = None
    why: str | None = None


@dataclass(frozen=True)
class Page:
    """`end`: the place that the next page goes on before; None where nothing is left."""

    messages: list[Sent]
    end: int | None


def page(tx: Tx, wanted: Wanted, before: int | None, limit: int) -> Page:
    """Up to `limit` messages before a place."""
    bound = {"before": 1 << 62 if before is None else before, "scan": SCAN} | ({} if wanted.to is None else {"to": wanted.to})
    older = f"direction = 'out' AND seq < :before{'' if wanted.to is None else ' AND wa_id = :to'}"
    scanned = f"SELECT {COLUMNS} FROM message WHERE {older} ORDER BY seq DESC LIMIT :scan"
    fits, values = _condition(wanted)
    chosen = f"SELECT {COLUMNS} FROM ({scanned}) AS scanned WHERE {fits} ORDER BY seq DESC LIMIT :limit"
    found = _joined(tx.all(f"{_with_statuses(chosen)} ORDER BY m.seq DESC", limit=limit, **bound, **values))
    if len(found) == limit:
        return Page(found, found[-1].seq)
    looked = f"SELECT seq FROM message WHERE {older} ORDER BY seq DESC LIMIT :scan"
    seen = tx.one(f"SELECT count(*), min(seq) FROM ({looked}) AS scanned", **bound)
    return Page(found, seen[1] if seen is not None and seen[0] == SCAN else None)


def one(tx: Tx, message_id: str) -> Sent | None:
    """A message by its id."""
    rows = tx.all(_with_statuses(f"SELECT {COLUMNS} FROM message WHERE id = :id AND direction = 'out'"), id=message_id)
    return _joined(rows)[0] if rows else None


def held(tx: Tx, message_id: str) -> Held:
    """What a message waits for, as far as it is known; nothing for one that does not wait."""
    row = tx.one(
        "SELECT prep, attempts, (SELECT id FROM message AS ahead WHERE ahead.lane = mine.lane AND ahead.state = 'waiting' "
        "ORDER BY ahead.seq LIMIT 1) FROM message AS mine WHERE id = :id AND state = 'waiting'",
        id=message_id,
    )
    if row is None:
        return Held()
    prep, attempts, ahead = row
    if ahead != message_id:
        return Held(behind=ahead)
    if prep is not None:
        seen = preps.seen(tx, prep)
        return Held(why=seen.why.details if seen and seen.why else None)
    told = (step.reason for step in reversed(steps.of_message(tx, message_id)) if step.outcome != "ok" and step.reason)
    return Held(why=next(told, None) if attempts else None)


def _with_statuses(messages: str) -> str:
    return f"SELECT {JOINED}, s.status, s.at_net, s.fault FROM ({messages}) AS m LEFT JOIN status s ON s.message_id = m.id"


def _condition(wanted: Wanted) -> tuple[str, dict[str, str]]:
    parts, values = ["1 = 1"], dict[str, str]()
    if wanted.type is not None:
        parts.append("type = :type")
        values["type"] = wanted.type
    if wanted.state is not None:
        parts.append(_is_in(wanted.state))
        values |= {} if wanted.state in ORDER else {"state": wanted.state}
    return " AND ".join(parts), values


def _is_in(state: str) -> str:
    """Whether it is shown in a state: it has this status and no higher one, or it has none at all."""
    if state not in ORDER:
        return f"state = :state AND NOT {_has(*ORDER)}"
    higher = [status for status, rank in ORDER.items() if rank > ORDER[state]]
    return f"{_has(state)} AND NOT {_has(*higher)}" if higher else _has(state)


def _has(*statuses: str) -> str:
    known = ", ".join(f"'{status}'" for status in statuses)
    return f"EXISTS (SELECT 1 FROM status WHERE message_id = scanned.id AND status IN ({known}))"


def _joined(rows: Sequence[Row]) -> list[Sent]:
    """A row each for every status, into a message each."""
    width = COLUMNS.count(",") + 1
    found = []
    for key, group in groupby(rows, lambda row: row[:width]):
        known = (Known(row[width], row[width + 1], _errors(row[width + 2])) for row in group if row[width] is not None)
        found.append(replace(Sent(*key), statuses=tuple(sorted(known, key=lambda status: ORDER[status.status]))))
    return found


def _errors(fault: str | None) -> tuple[dict[str, object], ...]:
    return () if fault is None else tuple(msgspec.json.decode(fault, type=list[dict[str, object]]))
