"""The row of an endpoint: whether connections to it come about. While they do not, one callback at a time tries."""

from dataclasses import dataclass

from satchel.db import Tx

WEBHOOK = "1"
"""The one endpoint there is."""


@dataclass(frozen=True)
class Endpoint:
    """`failures`: in a row; `paused_for`: seconds from now until the next try, 0 or less for none."""

    failures: int
    paused_for: float


def find(tx: Tx) -> Endpoint:
    """How it stands."""
    row = tx.one("SELECT failures, paused_until - :now FROM endpoint WHERE id = :id", id=WEBHOOK)
    return Endpoint(*row) if row else Endpoint(0, 0.0)


def failed(tx: Tx, pause: float) -> None:
    """A connection came to nothing: no try before `pause` seconds have passed. Those that were under way beside it count once."""
    tx.run(
        "INSERT INTO endpoint (id, failures, paused_until) VALUES (:id, 1, :now + :pause) "
        "ON CONFLICT (id) DO UPDATE SET failures = endpoint.failures + 1, paused_until = excluded.paused_until "
        "WHERE endpoint.paused_until <= :now",
        id=WEBHOOK,
        pause=pause,
    )


def worked(tx: Tx) -> bool:
    """Somebody answered; True when that ends an outage."""
    return tx.run("UPDATE endpoint SET failures = 0, paused_until = 0 WHERE id = :id AND failures > 0", id=WEBHOOK) == 1


def try_now(tx: Tx) -> None:
    """Somebody says that it is there again: no pause is waited for."""
    tx.run("UPDATE endpoint SET paused_until = 0 WHERE id = :id", id=WEBHOOK)
