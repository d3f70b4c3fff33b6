"""The password rule of the On-Premises API, and passwords that satisfy it."""

import secrets
import string

from satchel.domain.errors import PARAMETER_INVALID, Fault

RULE = "8 to 64 characters with at least one digit, one upper-case letter, one lower-case letter and one special character"


def check(password: str) -> None:
    """Raise `Fault` unless the password satisfies the rule."""
    kinds = (str.isdigit, str.isupper, str.islower, lambda char: not char.isalnum() and not char.isspace())
    if not 8 <= len(password) <= 64 or not all(any(map(kind, password)) for kind in kinds):
        raise Fault(PARAMETER_INVALID, f"The password does not meet the rule ({RULE}): choose another.")


def generate() -> str:
    """A random password, about 95 bits, that needs no quoting in a shell."""
    letters = string.ascii_letters + string.digits
    while True:
        password = "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))
        try:
            check(password)
        except Fault:
            continue
        return password
