"""Rows of the step table: the timelines of messages. Written only in a transaction that changes the message's state, one row for each."""

from collections.abc import Sequence
from dataclasses import asdict

import msgspec

from satchel.db import Tx
from satchel.domain.steps import Step


def write(tx: Tx, message_id: str, steps: Sequence[Step]) -> None:
    """Add steps to a timeline. Whoever adds to the same one at the same time gets the next number."""
    if not steps:
        return
    statement = (
        "INSERT INTO step (message_id, n, json) SELECT :id, coalesce(max(n), 0) + 1, :json FROM step WHERE message_id = :id "
        "ON CONFLICT (message_id, n) DO NOTHING"
    )
    while not tx.run(statement, id=message_id, json=encoded(steps)):
        pass


def of_message(tx: Tx, message_id: str) -> list[Step]:
    """A timeline in the order in which its steps began, `accepted` first: a shared preparation may have begun before it.

    A message that was tried again was accepted again: what came before stays before.
    """
    rows = tx.all("SELECT json FROM step WHERE message_id = :id ORDER BY n", id=message_id)
    told: list[tuple[int, Step]] = []
    turn = 0
    for step in (step for row in rows for step in decoded(row[0])):
        turn += step.step == "accepted"
        told.append((turn, step))
    return [step for _, step in sorted(told, key=lambda one: (one[0], one[1].step != "accepted", one[1].at))]


def encoded(steps: Sequence[Step]) -> str:
    """As JSON; what is not said is left out."""
    return msgspec.json.encode([{name: value for name, value in asdict(step).items() if value is not None} for step in steps]).decode()


def decoded(json: str) -> list[Step]:
    """What `encoded` made."""
    return msgspec.json.decode(json, type=list[Step])
