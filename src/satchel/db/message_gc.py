"""Forgetting finished messages with what belongs to them, in the order in which they were accepted."""

from dataclasses import dataclass

from satchel.db import Tx, bound
from satchel.db.retention import KEPT
from satchel.domain.statuses import causes

BATCH = 200
"""A message may have a hundred causes of callbacks, and a statement 32,766 values."""
PROMISED = f"direction = 'out' AND state = 'handed' AND EXISTS (SELECT 1 FROM media WHERE media.id = message.media_id AND media.{KEPT})"
"""A phone may still ask for the file of such a message, which is found through its row."""


@dataclass(frozen=True)
class Page:
    """`ids` of those that may go, with the attempts of each; `end`: the number of the last one; `older`: whether any was old enough."""

    ids: list[tuple[str, int]]
    end: int
    older: bool


def look(tx: Tx, before_net: float, after: int, limit: int = BATCH) -> Page | None:
    """The next messages by number; None when there are no more."""
    rows = tx.all(
        f"SELECT seq, id, retries, accepted_net < :before, state = 'waiting' OR {PROMISED} FROM message WHERE seq > :after "
        "ORDER BY seq LIMIT :limit",
        before=before_net,
        after=after,
        limit=limit,
    )
    if not rows:
        return None
    return Page([(row[1], row[2] + 1) for row in rows if row[3] and not row[4]], rows[-1][0], any(row[3] for row in rows))


def forget(tx: Tx, messages: list[tuple[str, int]], before_net: float) -> int:
    """Remove those that are still finished and of which nothing waits to be told; how many."""
    if not (asked := _told(tx, messages)):
        return 0
    listed, values = bound(list(asked))
    rows = tx.all(
        f"DELETE FROM message WHERE id IN ({listed}) AND accepted_net < :before AND state <> 'waiting' RETURNING id",
        before=before_net,
        **values,
    )
    if gone := [row[0] for row in rows]:
        listed, values = bound(gone)
        for table in ("status", "step"):
            tx.run(f"DELETE FROM {table} WHERE message_id IN ({listed})", **values)
        listed, values = bound([cause for id_ in gone for cause in causes(id_, asked[id_])])
        done = f"SELECT id FROM callback WHERE state = 'done' AND cause IN ({listed})"
        tx.run(f"DELETE FROM attempt WHERE callback_id IN ({done})", **values)
        tx.run(f"DELETE FROM callback WHERE state = 'done' AND cause IN ({listed})", **values)
    return len(gone)


def _told(tx: Tx, messages: list[tuple[str, int]]) -> dict[str, int]:
    """Those of the messages none of whose callbacks still waits, with their attempts."""
    by_cause = {cause: id_ for id_, attempts in messages for cause in causes(id_, attempts)}
    if not by_cause:
        return {}
    listed, values = bound(list(by_cause))
    waiting = {by_cause[row[0]] for row in tx.all(f"SELECT cause FROM callback WHERE state = 'waiting' AND cause IN ({listed})", **values)}
    return {id_: attempts for id_, attempts in messages if id_ not in waiting}
