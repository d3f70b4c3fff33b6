"""A request with an Idempotency-Key is done once, in the transaction that does it."""

from satchel.db import Tx, idempotency
from satchel.db.idempotency import Request
from satchel.domain.errors import IDEMPOTENCY_CONFLICT, Fault


def answer_once(tx: Tx, request: Request, answer: str) -> str:
    """The answer that stands for this key: ours, or the first one. Raises `Fault` when the key belongs to another request."""
    kept = idempotency.keep_first(tx, request, answer)
    if kept.request_sha256 != request.sha256:
        details = f"The Idempotency-Key {request.key[:64]} was used for another request within a day: choose a new one."
        raise Fault(IDEMPOTENCY_CONFLICT, details)
    return kept.answer
