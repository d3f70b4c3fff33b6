"""The steps of a message's timeline: a fixed vocabulary."""

from dataclasses import dataclass
from typing import Literal

Name = Literal[
    "accepted",
    "media_resolved",
    "link_fetched",
    "sniffed",
    "processed",
    "encrypted",
    "uploaded",
    "dispatched",
    "sent",
    "delivered",
    "read",
    "media_requested",
    "media_reuploaded",
    "failed",
]
Outcome = Literal["ok", "later", "failed"]


@dataclass(frozen=True)
class Step:
    """`at`: wall time of its beginning; `ms`: how long it took, 0 for what is a moment; `host`: the instance that did it.

    `attempt`: from 1; `reason`: why it did not come to its end, or what there is to say of it.
    """

    step: Name
    at: float
    ms: float
    host: str
    attempt: int = 1
    outcome: Outcome = "ok"
    reason: str | None = None
