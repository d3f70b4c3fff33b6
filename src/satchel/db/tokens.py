"""Rows of the table revoked: tokens that were given back before their end."""

from satchel.db import Tx
from satchel.domain.limits import DAY

MARGIN = DAY
"""Seconds by which the clocks of two hosts surely differ less."""


def revoke(tx: Tx, jti: str, expires_at: float) -> None:
    """Let one token die on every host."""
    tx.run("INSERT INTO revoked (jti, expires_at) VALUES (:jti, :expires) ON CONFLICT (jti) DO NOTHING", jti=jti, expires=float(expires_at))


def prune(tx: Tx) -> None:
    """Drop the rows of tokens that have expired by themselves."""
    tx.run("DELETE FROM revoked WHERE expires_at < :now - :margin", margin=MARGIN)
