"""Rows of the idempotency table: the first answer to a request with an Idempotency-Key, kept for a day.

Written in the transaction that does what was asked, so that nothing is reserved in advance and nothing leaks.
"""

from dataclasses import dataclass

from satchel.db import Tx
from satchel.domain.limits import DAY

OVER = "idempotency.expires_at < :now"


@dataclass(frozen=True)
class Request:
    """`key`: the user's own; `sha256`: tells whether two requests are the same."""

    user: str
    key: str
    sha256: str


@dataclass(frozen=True)
class Kept:
    """`request_sha256`: of the request that was answered."""

    request_sha256: str
    answer: str


def keep_first(tx: Tx, request: Request, answer: str) -> Kept:
    """What stands for this key: the first answer while its day lasts, else this one."""
    row = tx.one(
        'INSERT INTO idempotency ("user", key, request_sha256, answer, expires_at) VALUES (:user, :key, :sha256, :answer, :now + :day) '
        'ON CONFLICT ("user", key) DO UPDATE SET '
        f"request_sha256 = CASE WHEN {OVER} THEN excluded.request_sha256 ELSE idempotency.request_sha256 END, "
        f"answer = CASE WHEN {OVER} THEN excluded.answer ELSE idempotency.answer END, "
        f"expires_at = CASE WHEN {OVER} THEN excluded.expires_at ELSE idempotency.expires_at END "
        "RETURNING request_sha256, answer",
        user=request.user,
        key=request.key,
        sha256=request.sha256,
        answer=answer,
        day=DAY,
    )
    assert row is not None, "either of the two wrote one"
    return Kept(*row)


def prune(tx: Tx) -> None:
    """Forget keys whose day is over."""
    tx.run(f"DELETE FROM idempotency WHERE {OVER}")


def answer_anew(tx: Tx, request: Request, answer: str) -> None:
    """From now on this is the answer of the key."""
    tx.run('UPDATE idempotency SET answer = :answer WHERE "user" = :user AND key = :key', answer=answer, user=request.user, key=request.key)


def forget(tx: Tx, user: str) -> None:
    """The keys of a user who goes: another of the same name must not get their answers."""
    tx.run('DELETE FROM idempotency WHERE "user" = :user', user=user)
