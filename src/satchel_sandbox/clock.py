"""Network time: wall time plus an offset that only moves forward. It stores nothing; `world.py` keeps the offset."""

import re
import time
from datetime import UTC, datetime

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)?")


class Clock:
    """The network's clock. `offset` is in seconds; whoever sets it has stored it before."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        return time.time() + self.offset


def rfc3339(at: float) -> str:
    """`2026-01-01T00:00:00.000Z`, cut to milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(text: str) -> float | None:
    """Seconds meant by `500ms`, `10s`, `2m`, `1h`, `15d` or a bare number; None when it is none of these."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * UNITS[match[2] or "s"] if match else None
