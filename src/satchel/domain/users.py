"""Names and roles of users."""

import re

from satchel.domain.errors import PARAMETER_INVALID, PARAMETER_MISSING, Fault

ADMIN = "admin"
"""The administrator every node has; it cannot be deleted."""
FACTORY_PASSWORD = "secret"
"""What On-Premises nodes are delivered with; see flows/login.py for the one place where it opens anything."""
ROLE_ADMIN, ROLE_USER = "ROLE_ADMIN", "ROLE_USER"
RESERVED = {"login", "logout"}
"""Parts of other addresses under /v1/users."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{3,31}", re.ASCII)
RULE = "4 to 32 letters, digits and . _ - @ +, the first a letter or a digit; login and logout are taken"


def may_be(name: str) -> bool:
    """Whether a user can have this name."""
    return NAME.fullmatch(name) is not None and name not in RESERVED


def check(name: object) -> str:
    """The name of a new user. Raises `Fault`."""
    if name is None:
        raise Fault(PARAMETER_MISSING, "username is missing: it names the new user.")
    if not isinstance(name, str) or not may_be(name):
        raise Fault(PARAMETER_INVALID, f"{name!r:.60} cannot be a user name ({RULE}): choose another.")
    return name
