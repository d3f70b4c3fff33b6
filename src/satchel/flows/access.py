"""Hashes of passwords, and the first administrator."""

import asyncio
from collections.abc import Callable
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


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than ours, so that looking at it takes another time."""
    return HASHER.check_needs_rehash(password_hash)


async def has_admin(db: Database) -> bool:
    """Whether somebody can log in at all."""
    return await db.read(lambda tx: users.find(tx, ADMIN)) is not None


async def first_admin(db: Database, password: str, door: bool = False) -> bool:
    """Make the administrator where there is none; True when it was made now.

    `door`: it may also come in with the factory password, once. Raises `Fault` when the password does not meet the rule.
    """
    if await has_admin(db):
        return False
    return await db.write(partial(_first_admin, password_hash=await hashed(passwords.check(password)), door=door))


async def generated_admin(db: Database, keep: Callable[[str], object], door: bool = False) -> bool:
    """Like `first_admin`, with a password made here. `keep`: writes it down, before it counts, so that no crash loses it."""
    if await has_admin(db):
        return False
    password = passwords.generate()
    keep(password)
    return await first_admin(db, password, door)


async def set_admin_password(db: Database, password: str) -> None:
    """The administrator has this password from now on, and is made where there is none. Raises `Fault` when it does not meet the rule."""
    passwords.check(password)
    user = await db.read(lambda tx: users.find(tx, ADMIN))
    if user is None:
        await first_admin(db, password)
    elif not await fits(user.password_hash, password):
        new = await hashed(password)
        await db.write(lambda tx: users.change_password(tx, ADMIN, new))
    await close_factory_door(db)


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
