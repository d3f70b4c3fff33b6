"""Rows of the upstream_event table: each event of an upstream once, by its dedupe key."""

import time

from satchel.db import Tx


def take(tx: Tx, upstream: str, dedupe_key: str, world: str, body: str, state: str) -> bool:
    """Keep an event; False when it was taken before."""
    return (
        tx.run(
            "INSERT INTO upstream_event (upstream, dedupe_key, world, body, state, taken_at) "
            "VALUES (:upstream, :key, :world, :body, :state, :now_at) ON CONFLICT (upstream, dedupe_key) DO NOTHING",
            upstream=upstream,
            key=dedupe_key,
            world=world,
            body=body,
            state=state,
            now_at=time.time(),
        )
        == 1
    )
