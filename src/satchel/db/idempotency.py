"""Rows of the idempotency table: the first answer to a request with an Idempotency-Key, kept for a day.

Written in the transaction that does what was asked, so that nothing is reserved in advance and nothing leaks.
"""

from dataclasses import dataclass

from satchel.db import Tx
from satchel.domain.errors import IDEMPOTENCY_CONFLICT, Fault
from satchel.domain.limits import DAY


@dataclass(frozen=True)
class Request:
    """`key`: the user's own; `sha256`: tells whether two requests are the same."""

    user: str
    key: str
    sha256: str


def keep_first(tx: Tx, request: Request, answer: str, now: float) -> str:
    """The answer that stands for this key: ours, or the first one. Raises `Fault` when the key belongs to another request."""
    tx.run(
        'DELETE FROM idempotency WHERE "user" = :user AND key = :key AND expires_at < :wall', user=request.user, key=request.key, wall=now
    )
    tx.run(
        'INSERT INTO idempotency ("user", key, request_sha256, answer, expires_at) VALUES (:user, :key, :sha256, :answer, :until) '
        'ON CONFLICT ("user", key) DO NOTHING',
        user=request.user,
        key=request.key,
        sha256=request.sha256,
        answer=answer,
        until=now + DAY,
    )
    row = tx.one('SELECT request_sha256, answer FROM idempotency WHERE "user" = :user AND key = :key', user=request.user, key=request.key)
    if row is None or row[0] != request.sha256:
        raise Fault(
            IDEMPOTENCY_CONFLICT, f"The Idempotency-Key {request.key[:64]} was used for another request within a day: choose a new one."
        )
    return str(row[1])


def prune(tx: Tx, now: float) -> None:
    """Forget keys whose day is over."""
    tx.run("DELETE FROM idempotency WHERE expires_at < :wall", wall=now)
