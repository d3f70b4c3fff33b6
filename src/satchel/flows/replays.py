"""Telling callbacks again: as new rows with the body and the id of the first, so that whoever follows the list sees them, too.

What still waits for its next attempt has its attempt now.
"""

import uuid
from dataclasses import dataclass

from satchel.db import Tx, endpoints, settings
from satchel.db import callbacks as rows
from satchel.db.callbacks import News
from satchel.domain.application import fitting_url, webhook_url
from satchel.domain.errors import NOT_FOUND, PARAMETER_INVALID, Fault
from satchel.flows import Ports

MOST = 10_000
"""Callbacks that one call replays; more take several."""
TEST = "test"
"""The contact that tests are about."""


@dataclass(frozen=True)
class Wanted:
    """By `ids`, those that `failed` (dead or unsent), or those of the last `since` seconds. `to`: a URL in place of the one that is set."""

    ids: tuple[str, ...] = ()
    failed: bool = False
    since: float | None = None
    to: str | None = None


async def replay(ports: Ports, wanted: Wanted) -> list[str]:
    """Put them down again, or try at once those that still wait; the ids that they have now.

    Raises `Fault` for an id nobody knows, and where no URL is set.
    """
    if wanted.to is not None and not fitting_url(wanted.to):
        raise Fault(PARAMETER_INVALID, "to must be an http:// or https:// address, such as https://example.com/hook.")

    def put(tx: Tx) -> list[str]:
        if wanted.to is None and webhook_url(settings.application(tx)) is None:
            raise Fault(PARAMETER_INVALID, "No webhook is set, so nobody would be told: PATCH webhooks.url, or give an address in to.")
        if missing := [one for one in wanted.ids if rows.find(tx, one) is None]:
            raise Fault(NOT_FOUND, f"There is no callback {missing[0][:64]}: nothing was replayed. GET the list for those there are.")
        chosen = rows.chosen(tx, wanted.ids, wanted.failed, wanted.since, MOST)
        made = rows.replay(tx, chosen, wanted.to)
        if wanted.to is None:
            endpoints.try_now(tx)
        return made

    return await ports.db.write(put)


async def test(ports: Ports) -> str:
    """Put down a callback that says nothing; its id. Raises `Fault` where no URL is set."""

    def put(tx: Tx) -> str:
        if webhook_url(settings.application(tx)) is None:
            raise Fault(PARAMETER_INVALID, "No webhook is set, so nobody would be told: PATCH webhooks.url first.")
        cause = f"{TEST}:{uuid.uuid4().hex}"
        rows.put_down(tx, [News(cause, TEST, {"contacts": [], "messages": [], "statuses": []})], True)
        return rows.by_cause(tx, cause)

    return await ports.db.write(put)
