"""The request rates of the old API, where `webapp.rate_limits` is on: a leaky bucket for messages and one for everything else.

Of this process and one caller's address: several Webapps allow as much each.
"""

import time

from satchel.domain.errors import TOO_MANY_REQUESTS, Later
from satchel.domain.limits import OTHER_RATES, RATES

MOST_CALLERS = 10_000


class Bucket:
    """Generic cell rate: one number says when the bucket would be empty."""

    def __init__(self, rate: float, burst: int) -> None:
        self._each = 1 / rate
        self._burst = burst * self._each
        self._empty_at = 0.0

    def take(self, now: float) -> float:
        """0 when a request may pass, else the seconds until one may."""
        until = max(self._empty_at, now) + self._each
        if until - now > self._burst:
            return until - now - self._burst
        self._empty_at = until
        return 0.0


class Rates:
    """Every address under /v1. Each caller has buckets of its own: those without a token must not use up the others' rate."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def check(self, path: str, caller: str) -> None:
        """Raise `Later(TOO_MANY_REQUESTS)` for what is over the rate. `caller`: the peer's address."""
        if not path.startswith("/v1/"):
            return
        kind = path if path in RATES else ""
        if (bucket := self._buckets.get((caller, kind))) is None:
            if len(self._buckets) >= MOST_CALLERS:
                self._buckets.clear()
            bucket = self._buckets[caller, kind] = Bucket(*RATES.get(kind, OTHER_RATES))
        after = bucket.take(time.monotonic())
        if after > 0:
            raise Later(TOO_MANY_REQUESTS, "More requests than the rate that webapp.rate_limits keeps to: wait and send it again.", after)
