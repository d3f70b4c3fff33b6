"""The password rule of the On-Premises API, and passwords that satisfy it."""

import secrets
import string

from satchel.domain.errors import PARAMETER_INVALID, PARAMETER_MISSING, Fault

RULE = "8 to 64 characters with at least one digit, one upper-case letter, one lower-case letter and one special character"


def check(password: object) -> str:
    """The password, if it satisfies the rule. Raises `Fault`, which never repeats it."""
    if password is None:
        raise Fault(PARAMETER_MISSING, f"password is missing ({RULE}).")
    if not isinstance(password, str) or not _fits(password):
        raise Fault(PARAMETER_INVALID, f"The password does not meet the rule ({RULE}): choose another.")
    return password


def _fits(password: str) -> bool:
    kinds = (str.isdigit, str.isupper, str.islower, lambda char: not char.isalnum() and not char.isspace())
    if not 8 <= len(password) <= 64 or any("\ud800" <= char <= "\udfff" for char in password):
        return False
    return all(any(map(kind, password)) for kind in kinds)


def generate() -> str:
    """A random password, about 95 bits, that needs no quoting in a shell."""
    letters = string.ascii_letters + string.digits
    while True:
        password = "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))
        if _fits(password):
            return password
