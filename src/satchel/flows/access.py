"""Hashes of passwords, and the first administrator."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import argon2

from satchel.db import Database, Tx, settings, users
from satchel.domain import passwords
from satchel.domain.errors import SCHEMA_UNFIT, Fault
from satchel.domain.users import ADMIN, ROLE_ADMIN
from satchel.flows import tokens

HASHES_AT_ONCE = 2
"""In one process."""
HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""argon2id with 19 MiB and two passes, OWASP's first choice: old clients log in all the time, and a Webapp is a small process."""
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$cvCXZ6UI9+RgwUEv2lu4/A$0Kdpn5EeirFparuvKgyCQnZ5Ma//6pPwCSYZnjLXuMg"
"""Of a password that nobody knows: an unknown name must take as long as a known one."""

_threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")


async def hashed(password: str) -> str:
    """An argon2id hash with its parameters inside."""
    return await asyncio.get_running_loop().run_in_executor(_threads, HASHER.hash, password)


async def fits(password_hash: str, password: str) -> bool:
    """Whether the hash is of this password."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _fits, password_hash, password)


def _fits(password_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


async def has_admin(db: Database) -> bool:
    """Whether somebody can log in at all."""
    return await db.read(lambda tx: users.find(tx, ADMIN)) is not None


async def ensure_admin(db: Database, password: str, always: bool, door: bool = False) -> bool:
    """Make sure that an administrator exists; True when it was made now. `always`: give this password to one that exists, too.

    `door`: one made now may also come in with the factory password, once. Raises `Fault` when the password does not meet the rule.
    """
    passwords.check(password)
    user = await db.read(lambda tx: users.find(tx, ADMIN))
    if user is None:
        return await db.write(partial(_first_admin, password_hash=await hashed(password), door=door))
    if always and not await fits(user.password_hash, password):
        new = await hashed(password)
        await db.write(lambda tx: users.change_password(tx, ADMIN, new))
    if always:
        await close_factory_door(db)
    return False


async def close_factory_door(db: Database) -> None:
    """From here on the factory password is a wrong one like any other."""
    if await db.read(lambda tx: settings.get(tx, settings.FACTORY_DOOR)) is not None:
        await db.write(lambda tx: settings.drop(tx, settings.FACTORY_DOOR))


async def mint_admin_token(db: Database, key: str = "") -> str:
    """A fresh token of the administrator."""
    token = await tokens.mint_token(db, ADMIN, key)
    if token is None:
        raise Fault(SCHEMA_UNFIT, "There is no administrator in this database: start satchel dev or satchel serve once.")
    return token


def _first_admin(tx: Tx, password_hash: str, door: bool) -> bool:
    user = users.add(tx, ADMIN, ROLE_ADMIN, password_hash)
    if user is not None and door:
        settings.put(tx, settings.FACTORY_DOOR, user.epoch)
    return user is not None
