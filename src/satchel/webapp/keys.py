"""Headers that name a request: X-Request-Id, for finding it in the log, and Idempotency-Key, for sending it again without harm."""

import re
import time
from collections.abc import Mapping
from random import getrandbits

from satchel.domain.errors import PARAMETER_INVALID, Fault

PLAIN = re.compile(rb"[\x21-\x7e]{1,128}")


def request_id(given: bytes | None) -> bytes:
    """The client's own where it can be used, else a new one that begins with the time (UUIDv7)."""
    if given is not None and PLAIN.fullmatch(given):
        return given
    text = f"{int(time.time() * 1000) << 80 | 7 << 76 | getrandbits(76) & ~(1 << 62) | 1 << 63:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Raises `Fault` for one that cannot be used."""
    given = headers.get("idempotency-key")
    if given is None:
        return None
    if not 1 <= len(given) <= 255 or not given.isascii() or not given.isprintable():
        raise Fault(PARAMETER_INVALID, "The header Idempotency-Key must have 1 to 255 printable ASCII characters.")
    return given


def replayed(so: bool) -> dict[str, str]:
    """The header of an answer that was given before."""
    return {"Idempotent-Replayed": "true"} if so else {}
