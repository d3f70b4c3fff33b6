"""Changing the application settings: one change at a time over all hosts."""

import structlog

from satchel.db import Database, Tx, endpoints, locks, settings
from satchel.domain.application import merged, strangers, webhook_url

log = structlog.get_logger("satchel.flows")


async def change(db: Database, patch: object, by: str) -> None:
    """Apply a PATCH. Raises `Fault` for a value that cannot be; then nothing changes."""

    def apply(tx: Tx) -> None:
        tx.lock(locks.APPLICATION)
        before = settings.application(tx)
        after = merged(before, patch)
        settings.put(tx, settings.APPLICATION, after, by)
        if webhook_url(before) != webhook_url(after):
            endpoints.worked(tx)  # that nobody answered says nothing of the new address

    await db.write(apply)
    if unknown := strangers(patch):
        log.warning("settings_ignored", keys=unknown, details="No setting has these names, so nothing was changed by them; see docs.")


async def reset(db: Database, by: str) -> None:
    """Back to the defaults, the webhook's URL included."""

    def apply(tx: Tx) -> None:
        tx.lock(locks.APPLICATION)
        settings.put(tx, settings.APPLICATION, {}, by)

    await db.write(apply)
