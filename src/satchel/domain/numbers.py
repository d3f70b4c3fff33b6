"""Telephone numbers as the API takes them."""

import re

from satchel.domain.errors import PARAMETER_INVALID, Fault

DROPPED = str.maketrans("", "", "+-(). ")
DIGITS = re.compile(r"[0-9]{7,15}", re.ASCII)


def wa_id(given: str) -> str:
    """The digits of a number in any human form. Raises `Fault` unless 7 to 15 digits are left."""
    digits = given.translate(DROPPED)
    if not DIGITS.fullmatch(digits):
        raise Fault(
            PARAMETER_INVALID, f"{given[:40]!r} is not a telephone number: give 7 to 15 digits with the country code, such as 12025550111."
        )
    return digits
