"""Statuses of a sent message: their order, which of them the business wants to hear of, and the callback body of each."""

from dataclasses import dataclass
from typing import Any

from satchel.domain.errors import Fault

ORDER = {"sent": 1, "delivered": 2, "read": 3, "failed": 4}
"""A status that comes after one of a higher number is recorded and not announced."""

ANNOUNCED = {"sent": False, "delivered": True, "read": True}
"""Default of `webhooks.message`; `failed` is always announced."""


@dataclass(frozen=True)
class Status:
    """`at_net`: network time in seconds; `recipient`: digits; `fault`: why it failed; `attempt`: from 1, more after a retry."""

    message_id: str
    recipient: str
    status: str
    at_net: float
    fault: Fault | None = None
    attempt: int = 1

    @property
    def cause(self) -> str:
        """What its callback is made once for."""
        again = "" if self.attempt == 1 else f":{self.attempt}"
        return f"status:{self.message_id}:{self.status}{again}"


def causes(message_id: str, attempts: int) -> list[str]:
    """What the callbacks of a message's statuses are made for, its first hundred failures among them. `attempts`: from 1."""
    first = [Status(message_id, "", status, 0.0).cause for status in ORDER]
    return first + [Status(message_id, "", "failed", 0.0, attempt=attempt).cause for attempt in range(2, min(attempts, 100) + 1)]


def errors_of(fault: Fault) -> list[dict[str, Any]]:
    """A fault as the `errors` array of the contract."""
    return [{"code": fault.situation.code, "title": fault.situation.title, "details": fault.details}]


def body_of(status: Status) -> dict[str, Any]:
    """The callback's body: one status, its timestamp a string of digits."""
    told: dict[str, Any] = {
        "id": status.message_id,
        "recipient_id": status.recipient,
        "status": status.status,
        "timestamp": str(int(status.at_net)),
    }
    if status.fault is not None:
        told["errors"] = errors_of(status.fault)
    return {"statuses": [told]}


def wanted(status: str, application: dict[str, Any]) -> bool:
    """Whether the application settings ask for a callback of this status."""
    if status == "failed":
        return True
    chosen = application.get("webhooks", {}).get("message", {}).get(status)
    return ANNOUNCED[status] if chosen is None else bool(chosen)
