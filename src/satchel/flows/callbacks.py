"""One callback to the business: looked up, posted, and put off until only HTTP 200 comes back."""

import time
from typing import Any

import structlog

from satchel.db import Tx, settings
from satchel.db import callbacks as rows
from satchel.db.callbacks import Waiting
from satchel.domain.application import webhook_url
from satchel.domain.limits import GIVE_UP_CALLBACK
from satchel.egress import Answer
from satchel.flows import Lease, Ports, Settle
from satchel.observe import metrics

log = structlog.get_logger("satchel.flows")
STEP, LONGEST = 3.0, 900.0
"""Seconds."""
TYPES = {"status": "status_change"}
"""How On-Premises sorts callbacks, by what the cause begins with."""


async def tell(ports: Ports, item: Waiting, lease: Lease) -> Settle:
    """Post the head of a callback lane to the URL that is set now."""
    application = await ports.db.read(settings.application)
    url = webhook_url(application)
    if not url:
        return lambda tx: rows.finish(tx, item.id, "unsent")
    lease.check()
    answer = await ports.egress.call_back(url, item.body.encode(), {"webhook-id": item.id})
    log.info("callback", callback_id=item.id, attempt=item.attempts + 1, result=answer.result, ms=answer.ms)
    metrics.called_back(answer.result, TYPES.get(item.cause.partition(":")[0], metrics.OTHER), answer.ms, time.time() - item.created_at)
    return _settle(item, answer, application)


def put_off(item: Waiting, application: dict[str, Any] | None = None) -> Settle:
    """Another try after n × 3 s, 15 minutes at most; after seven days it is set aside as `dead`."""
    if time.time() - item.created_at > GIVE_UP_CALLBACK:
        return lambda tx: rows.finish(tx, item.id, "dead")
    step = _seconds(application, "callback_backoff_delay_ms", STEP)
    after = min(step * (item.attempts + 1), _seconds(application, "max_callback_backoff_delay_ms", LONGEST))
    return lambda tx: rows.again(tx, item.id, after)


def _settle(item: Waiting, answer: Answer, application: dict[str, Any]) -> Settle:
    end = (lambda tx: rows.finish(tx, item.id, "done")) if answer.ok else put_off(item, application)

    def settle(tx: Tx) -> bool:
        if not end(tx):
            return False
        rows.tried(tx, item.id, item.attempts + 1, answer.result, answer.ms)
        return True

    return settle


def _seconds(application: dict[str, Any] | None, key: str, default: float) -> float:
    chosen = (application or {}).get(key)
    return default if chosen is None else float(chosen) / 1000.0
