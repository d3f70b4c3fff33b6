"""Rows of the status table: each status of a message once."""

import msgspec

from satchel.db import Tx
from satchel.domain.statuses import ORDER, Status, errors_of

REACHED = "EXISTS (SELECT 1 FROM status WHERE status.message_id = message.id AND status.status IN ('sent', 'delivered', 'read'))"
"""Of a row of the message table: whether the network has told that it has it, whatever became of the answer to its hand-over."""


def reached(tx: Tx, message_id: str) -> bool:
    """Whether the network has told that it has a message."""
    return tx.one(f"SELECT 1 FROM message WHERE id = :id AND {REACHED}", id=message_id) is not None


def record(tx: Tx, status: Status) -> bool:
    """Keep a status; True when it is new and no higher one was known, so that it is worth telling."""
    higher = [row[0] for row in tx.all("SELECT status FROM status WHERE message_id = :id", id=status.message_id)]
    new = tx.run(
        "INSERT INTO status (message_id, status, at_net, fault) VALUES (:id, :status, :at_net, :fault) "
        "ON CONFLICT (message_id, status) DO NOTHING",
        id=status.message_id,
        status=status.status,
        at_net=status.at_net,
        fault=None if status.fault is None else msgspec.json.encode(errors_of(status.fault)).decode(),
    )
    return new == 1 and all(ORDER[known] < ORDER[status.status] for known in higher)


def forget_failure(tx: Tx, message_id: str) -> None:
    """The message is tried again: what comes now is told."""
    tx.run("DELETE FROM status WHERE message_id = :id AND status = 'failed'", id=message_id)
