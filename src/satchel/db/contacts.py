"""Rows of the contact table: what the network said of a number. Whoever sends asks the network itself; this only answers /v1/contacts."""

import time
from collections.abc import Mapping, Sequence

from satchel.db import Tx
from satchel.domain.limits import CONTACT_LIFE


def known(tx: Tx, numbers: Sequence[str]) -> dict[str, bool]:
    """Those of these numbers that were asked about lately, and whether they are on the network."""
    since, found = time.time() - CONTACT_LIFE, {}
    for number in numbers:
        row = tx.one("SELECT state FROM contact WHERE wa_id = :number AND checked_at > :since", number=number, since=since)
        if row is not None:
            found[number] = row[0] == "valid"
    return found


def learn(tx: Tx, states: Mapping[str, bool]) -> None:
    """Keep what the network said, in the order of the numbers, so that two who learn do not wait for each other."""
    for number in sorted(states):
        tx.run(
            "INSERT INTO contact (wa_id, state, checked_at) VALUES (:number, :state, :at) "
            "ON CONFLICT (wa_id) DO UPDATE SET state = excluded.state, checked_at = excluded.checked_at",
            number=number,
            state="valid" if states[number] else "invalid",
            at=time.time(),
        )


def forget(tx: Tx) -> None:
    """What was said in a world that is no more."""
    tx.run("DELETE FROM contact")


def prune(tx: Tx) -> None:
    """Drop what is too old to be answered."""
    tx.run("DELETE FROM contact WHERE checked_at < :before", before=time.time() - CONTACT_LIFE)
