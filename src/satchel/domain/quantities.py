"""Sizes, shares, times and lists as people write them. MB and MiB both mean 2^20 bytes, as on the media page."""

import re
from collections.abc import Callable

POWERS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def size(text: str) -> int:
    """Bytes of `104857600`, `64MB`, `64 MiB` or `1.5g`. Raises ValueError."""
    found = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]?)(?:i?b)?\s*", text, re.IGNORECASE | re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is no size such as 64MB")
    return int(float(found[1]) * 2 ** POWERS[found[2].lower()])


def share(text: str) -> float:
    """0.85 of `85%`, `85 %` or `0.85`. Raises ValueError."""
    found = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*(%?)\s*", text, re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is no share such as 85%")
    return float(found[1]) / (100 if found[2] else 1)


def duration(text: str) -> float:
    """Seconds of `90s`, `15m`, `12h` or `14d`. Raises ValueError."""
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([smhd])\s*", text, re.IGNORECASE | re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is no time such as 90s, 15m, 12h or 14d")
    return float(found[1]) * SECONDS[found[2].lower()]


def listed(text: str) -> tuple[str, ...]:
    """The parts of `a, b c`."""
    return tuple(re.split(r"[,\s]+", text.strip(", \t\n"))) if text.strip(", \t\n") else ()


def shown_bytes(size_: int) -> str:
    """For people: `1 byte`, `17 bytes`."""
    return f"{size_} byte{'' if size_ == 1 else 's'}"


def shown_count(count: int, what: str) -> str:
    """For people: `1 phone`, `2 phones`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def shown_size(size_: int) -> str:
    """For people: `100 MiB`, `2.1 GiB`, `17 bytes`."""
    if size_ < 1024:
        return shown_bytes(size_)
    power = min(4, max(0, size_.bit_length() - 1) // 10)
    return f"{size_ / 2 ** (10 * power):.1f} {('', 'KiB', 'MiB', 'GiB', 'TiB')[power]}".replace(".0 ", " ")


def shown_share(share_: float) -> str:
    """For people: `85 %`."""
    return f"{share_ * 100:.1f} %".replace(".0 ", " ")


def shown_duration(seconds: float) -> str:
    """For people, as `duration` reads it: `10m`, `90s`, `14d`."""
    unit = next((unit for unit, length in reversed(SECONDS.items()) if seconds and seconds % length == 0), "s")
    return f"{seconds / SECONDS[unit]:g}{unit}"


PARSERS: dict[str, Callable[[str], object]] = {"bytes": size, "share": share, "duration": duration, "list": listed}
SHOWN: dict[str, Callable[..., str]] = {"bytes": shown_size, "share": shown_share, "duration": shown_duration, "list": ", ".join}
