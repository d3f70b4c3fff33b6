"""The upstream forgot everything and began a new world: what was on its way to the old one ends here, and nothing of it comes later.

The next test must not hear of the last one, nor wait behind it. Only a simulated network does that.
"""

import time

from satchel.db import Tx, callbacks, contacts, messages, settings, steps
from satchel.db import statuses as rows
from satchel.domain.errors import WORLD_RESET, Fault
from satchel.domain.statuses import Status
from satchel.domain.steps import Step

OVER = Fault(WORLD_RESET, "The network was reset before this message reached it: send it anew.")


def learn(tx: Tx, world: str, offset: float, host: str) -> None:
    """Note the world and its clock; `offset`: network time - wall time, seconds."""
    known = settings.upstream(tx)[0]
    if known != world:
        contacts.forget(tx)
    settings.learn_upstream(tx, world, offset)
    if known is not None and known != world:
        _end_others(tx, world, host)


def _end_others(tx: Tx, world: str, host: str) -> None:
    """Messages fail without a callback, and callbacks that wait are kept unsent: both can be looked at, and replayed."""
    for message_id, recipient, retries in messages.end_others(tx, world):
        rows.record(tx, Status(message_id, recipient, "failed", settings.network_now(tx), OVER, retries + 1))
        steps.write(tx, message_id, [Step("failed", time.time(), 0.0, host, outcome="failed", reason=OVER.details)])
    callbacks.keep_unsent(tx)
