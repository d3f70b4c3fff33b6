"""One callback to the business: looked up, posted, and put off until only HTTP 200 comes back."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from satchel.db import Tx, endpoints, lanes, settings
from satchel.db import callbacks as rows
from satchel.db.callbacks import Waiting
from satchel.domain import signatures
from satchel.domain.application import concurrency, secret, webhook_url
from satchel.domain.limits import DAY, GIVE_UP_CALLBACK
from satchel.egress import Answer
from satchel.flows import Lease, Ports, Settle, Settlement
from satchel.observe import metrics

log = structlog.get_logger("satchel.flows")
STEP, LONGEST = 3.0, 900.0
"""Seconds."""
TYPES = {"status": "status_change", "message": "inbound_message"}
"""How On-Premises sorts callbacks, by what the cause begins with."""


async def tell(ports: Ports, item: Waiting, lease: Lease, recovered: Callable[[], None] = lambda: None) -> Settle | Settlement:
    """Post the head of a callback lane to the URL that is set now, or to the one it was replayed to.

    `recovered` is called, perhaps again, in a settle that ends an outage.
    """
    application, ca, waits = await ports.db.read(
        lambda tx: (settings.application(tx), settings.get(tx, settings.WEBHOOK_CA), rows.waits(tx, item.id))
    )
    if not waits:  # its world ended since it was claimed: an address that was set after that is not for it
        return lambda tx: False
    url = item.to_url or webhook_url(application)
    if not url:
        return lambda tx: rows.finish(tx, item.id, "unsent")
    lease.check()
    answer = await ports.egress.call_back(url, item.body.encode(), _headers(item, secret(application)), ca or "")
    log.info("callback", callback_id=item.id, attempt=item.attempts + 1, result=answer.result, ms=answer.ms)
    metrics.called_back(answer.result, TYPES.get(item.cause.partition(":")[0], metrics.OTHER), answer.ms, time.time() - item.created_at)
    return Settlement(_settle(item, answer, application, recovered), durable=False)  # at worst it is told once more


def room(tx: Tx) -> int:
    """How many callbacks may start now: over all hosts no more than is set; while nobody answers, one at a time, after a pause."""
    most = concurrency(settings.application(tx))
    endpoint = endpoints.find(tx)
    if endpoint.failures:
        most = 1 if endpoint.paused_for <= 0 else 0
    return max(0, most - lanes.leased(tx, rows.KIND)) if most else 0


async def wake_after_outage(ports: Ports) -> None:
    """Nobody waits for a later attempt any more: the endpoint is there again. One transaction a lane."""
    if (await ports.db.read(endpoints.find)).failures:
        return
    for lane in await ports.db.read(rows.put_off_lanes):
        await ports.db.write(partial(rows.nudge, lane=lane))


def put_off(item: Waiting, application: dict[str, Any] | None = None) -> Settle:
    """Another try after n × 3 s, 15 minutes at most; after seven days, a day where callbacks do not persist, it is set aside as `dead`."""
    persists = (application or {}).get("callback_persist") is not False
    if time.time() - item.created_at > (GIVE_UP_CALLBACK if persists else DAY):
        return lambda tx: rows.finish(tx, item.id, "dead")
    return lambda tx: rows.again(tx, item.id, _wait(application, item.attempts + 1))


def _headers(item: Waiting, key: str) -> dict[str, str]:
    at = int(time.time())
    told = {"webhook-id": item.shown_id, "webhook-timestamp": str(at)}
    if item.shown_id != item.id:
        told["Satchel-Replay"] = "1"
    return told | (signatures.headers(key, item.shown_id, at, item.body.encode()) if key else {})


def _settle(item: Waiting, answer: Answer, application: dict[str, Any], recovered: Callable[[], None]) -> Settle:
    end = (lambda tx: rows.finish(tx, item.id, "done")) if answer.ok else put_off(item, application)

    def settle(tx: Tx) -> bool:
        if not end(tx):
            return False
        rows.tried(tx, item.id, item.attempts + 1, answer.result, answer.ms, answer.excerpt)
        if item.to_url is None and _note(tx, answer, application):
            recovered()
        return True

    return settle


def _note(tx: Tx, answer: Answer, application: dict[str, Any]) -> bool:
    """Whether the endpoint is there: a connection that came to nothing pauses it for everybody. True when an outage ends.

    A connection that stays silent or is hung up on may be about this one body, so it holds back nobody else.
    """
    if answer.connected:
        return endpoints.worked(tx)
    endpoints.failed(tx, _wait(application, endpoints.find(tx).failures + 1))
    return False


def _wait(application: dict[str, Any] | None, n: int) -> float:
    step = _seconds(application, "callback_backoff_delay_ms", STEP)
    return min(step * n, _seconds(application, "max_callback_backoff_delay_ms", LONGEST))


def _seconds(application: dict[str, Any] | None, key: str, default: float) -> float:
    chosen = (application or {}).get(key)
    return default if chosen is None else float(chosen) / 1000.0
