"""The request rates of the old API, where `webapp.rate_limits` is on: a leaky bucket for messages and one for everything else.

Of this process: several Webapps allow as much each.
"""

import time

from satchel.domain.errors import TOO_MANY_REQUESTS, Later
from satchel.domain.limits import OTHER_RATES, RATES


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
    """Every address under /v1."""

    def __init__(self) -> None:
        self._buckets = {path: Bucket(*rate) for path, rate in RATES.items()}
        self._others = Bucket(*OTHER_RATES)

    def check(self, path: str) -> None:
        """Raise `Later(TOO_MANY_REQUESTS)` for what is over the rate."""
        if not path.startswith("/v1/"):
            return
        after = self._buckets.get(path, self._others).take(time.monotonic())
        if after > 0:
            raise Later(TOO_MANY_REQUESTS, "More requests than the rate that webapp.rate_limits keeps to: wait and send it again.", after)
