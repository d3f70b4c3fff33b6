"""Rows of the table brake: wrong passwords of one account from one address within some time, by the database's clock.

A window that seems to begin in the future belongs to a clock that was set back since, and counts for nothing; `SKEW` forgives
statements that overtook each other while they waited for the row.
"""

from dataclasses import dataclass

from satchel.db import Tx
from satchel.domain.limits import WRONG_WINDOW

SKEW = 5.0
"""Seconds."""
CURRENT = "brake.since_at > :now - :window AND brake.since_at < :now + :skew"


@dataclass(frozen=True)
class Failures:
    """`count`: wrong passwords of this window; `left`: seconds until it ends."""

    count: int
    left: float


def look(tx: Tx, account: str, address: str) -> Failures:
    """How often this pair has been wrong by now."""
    row = tx.one(
        f"SELECT failures, since_at + :window - :now FROM brake WHERE account = :account AND address = :address AND {CURRENT}",
        account=account,
        address=address,
        window=WRONG_WINDOW,
        skew=SKEW,
    )
    return Failures(0, 0.0) if row is None else Failures(*row)


def count(tx: Tx, account: str, address: str) -> Failures:
    """Count one more wrong password; what it makes together with those before it."""
    row = tx.one(
        "INSERT INTO brake (account, address, since_at, failures) VALUES (:account, :address, :now, 1) "
        "ON CONFLICT (account, address) DO UPDATE SET "
        f"failures = CASE WHEN {CURRENT} THEN brake.failures + 1 ELSE 1 END, "
        f"since_at = CASE WHEN {CURRENT} THEN brake.since_at ELSE :now END "
        "RETURNING failures, since_at + :window - :now",
        account=account,
        address=address,
        window=WRONG_WINDOW,
        skew=SKEW,
    )
    return Failures(*row) if row else Failures(1, WRONG_WINDOW)


def forget(tx: Tx, account: str) -> None:
    """Wrong passwords of this account count no more, from whichever address."""
    tx.run("DELETE FROM brake WHERE account = :account", account=account)


def prune(tx: Tx) -> None:
    """Drop windows that are over."""
    tx.run(f"DELETE FROM brake WHERE NOT ({CURRENT})", window=WRONG_WINDOW, skew=SKEW)
