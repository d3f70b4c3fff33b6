"""Passwords, tokens and the first administrator. Tokens are signed and cost no row."""

import secrets
import time
from dataclasses import dataclass
from functools import cache

import argon2
import jwt

from satchel.db import Database, Tx, settings, users
from satchel.db.users import User
from satchel.domain import passwords
from satchel.domain.errors import SCHEMA_UNFIT, Fault
from satchel.domain.limits import TOKEN_LIFE


@dataclass(frozen=True)
class Token:
    """`expires_at`: wall time in seconds."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


def hash_password(password: str) -> str:
    """An argon2id hash with its parameters inside."""
    return argon2.PasswordHasher().hash(password)


def fits(password_hash: str, password: str) -> bool:
    """Whether the hash is of this password. Takes some 50 ms of CPU."""
    try:
        return argon2.PasswordHasher().verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


@cache
def nobodys_hash() -> str:
    """The hash of a password that nobody knows."""
    return hash_password(secrets.token_hex(16))


def mint(user: User, key: str) -> Token:
    """A token for seven days."""
    expires_at = time.time() + TOKEN_LIFE
    claims = {"sub": user.name, "epoch": user.epoch, "jti": secrets.token_hex(8), "exp": int(expires_at)}
    return Token(jwt.encode(claims, key, algorithm="HS256"), int(expires_at))


async def has_admin(db: Database) -> bool:
    """Whether somebody can log in at all."""
    return await db.read(lambda tx: users.find(tx, users.ADMIN)) is not None


async def ensure_admin(db: Database, password: str, always: bool) -> bool:
    """Make sure that an administrator exists; True when it was made now. `always`: give this password to one that exists, too.

    Raises `Fault` when the password does not meet the rule.
    """
    passwords.check(password)
    user = await db.read(lambda tx: users.find(tx, users.ADMIN))
    if user is None:
        hashed = hash_password(password)
        return await db.write(lambda tx: users.add_admin(tx, hashed))
    if always and not fits(user.password_hash, password):
        hashed = hash_password(password)
        await db.write(lambda tx: users.change_password(tx, users.ADMIN, hashed))
    return False


async def mint_admin_token(db: Database) -> str:
    """A fresh token for the administrator."""

    def look(tx: Tx) -> str:
        user = users.find(tx, users.ADMIN)
        if user is None:
            raise Fault(SCHEMA_UNFIT, "There is no administrator in this database: start satchel dev or satchel serve once.")
        return mint(user, settings.token_key(tx)).value

    return await db.write(look)
