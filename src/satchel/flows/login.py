"""A login: find the user, hash the password at most once, count wrong ones, change it if a new one is given.

Old clients log in before every call, in parallel: what was found right lately needs no hashing, and logins with the same name,
password and address that arrive together share one hash. No password is kept: the memory of right ones holds keyed digests.
"""

import asyncio
import hashlib
import hmac
import secrets
from contextlib import suppress
from functools import partial

from cachetools import TTLCache

from satchel.db import Database, Tx, brake, settings, users
from satchel.db.users import User
from satchel.domain import passwords
from satchel.domain import users as names
from satchel.domain.errors import BAD_CREDENTIALS, PASSWORD_CHANGE_REQUIRED, TOO_MANY_PASSWORDS, TOO_MANY_REQUESTS, Fault, Later
from satchel.domain.limits import WRONG_PASSWORDS, WRONG_WINDOW
from satchel.domain.users import ADMIN, FACTORY_PASSWORD
from satchel.flows import access

MOST_WAITING = 100
"""Passwords that wait for their hash at once; more would let everybody wait for longer than a client does."""
PASSWORD_KEPT = 300.0
"""Seconds for which a password that was right needs no hashing."""


class Logins:
    """Checks names and passwords against the database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._pepper = secrets.token_bytes(32)
        self._uncounted: TTLCache[tuple[str, str], int] = TTLCache(maxsize=10_000, ttl=WRONG_WINDOW)
        self._right: TTLCache[bytes, bool] = TTLCache(maxsize=10_000, ttl=PASSWORD_KEPT)
        self._flights: dict[tuple[bytes, str], asyncio.Task[bool]] = {}
        self._hashing = asyncio.Semaphore(access.HASHES_AT_ONCE)

    async def login(self, name: str, password: str, address: str, wanted: object = None) -> User:
        """The user, with the wanted password if that is another one. `address`: of the peer.

        Raises `Fault`, and `Later(TOO_MANY_PASSWORDS)` for a pair of name and address that was wrong too often.
        """
        user = await self._db.read(lambda tx: users.find(tx, name)) if names.may_be(name) else None
        if (name, password) == (ADMIN, FACTORY_PASSWORD) and await self._db.read(_door_is_open):
            await self._unbraked(name, address)
            return await self._through_the_door(wanted)
        right = await self._check(name, user, password, address)
        if user is None or not right:
            raise await self._wrong(name, address)
        if wanted is None or wanted == password:
            return user
        return await self._change(user, passwords.check(wanted))

    async def _check(self, name: str, user: User | None, password: str, address: str) -> bool:
        """Whether the password is right. An unknown name is hashed, too: neither time nor answer may tell who exists."""
        known = user.password_hash if user else access.NOBODYS_HASH
        mark = hmac.new(self._pepper, f"{name}\0{known}\0{password}".encode(), hashlib.sha256).digest()
        if mark in self._right:
            return True
        flight = self._flights.get((mark, address))
        if flight is None and len(self._flights) >= MOST_WAITING:
            raise Later(TOO_MANY_REQUESTS, "Too many logins are being checked: log in again in a moment.", 1.0)
        if flight is None:
            flight = self._flights[mark, address] = asyncio.create_task(self._hash(mark, name, user, password, address))
            flight.add_done_callback(partial(self._landed, (mark, address)))
        return await asyncio.shield(flight)

    def _landed(self, key: tuple[bytes, str], flight: asyncio.Task[bool]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # looked at, should everybody who waited for it have left

    async def _hash(self, mark: bytes, name: str, user: User | None, password: str, address: str) -> bool:
        async with self._hashing:  # looked at when it is our turn: those before us may have been wrong, or right
            if mark in self._right:
                return True
            await self._unbraked(name, address)
            right = await access.fits(user.password_hash if user else access.NOBODYS_HASH, password)
            if right and user is not None and access.is_outdated(user.password_hash):
                await self._hash_anew(user, password)
        if right:
            self._right[mark] = True
        return right

    async def _hash_anew(self, user: User, password: str) -> None:
        """An older hash takes another time than that of an unknown name."""
        new = await access.hashed(password)
        with suppress(Later):  # then the next login does it
            await self._db.write(lambda tx: users.hash_anew(tx, user, new), durable=False)

    async def _unbraked(self, name: str, address: str) -> None:
        pair = (_account(name), address)
        failures = await self._db.read(lambda tx: brake.look(tx, *pair))
        if failures.count >= WRONG_PASSWORDS:
            raise _braked(failures)
        if (uncounted := self._uncounted.get(pair, 0)) >= WRONG_PASSWORDS:
            raise _braked(brake.Failures(uncounted, WRONG_WINDOW))

    async def _wrong(self, name: str, address: str) -> Fault | Later:
        """Count one wrong password; the answer to it. What a full or absent database cannot count this process counts for itself."""
        pair = (_account(name), address)
        try:
            failures = await self._db.write(lambda tx: brake.count(tx, *pair), durable=False)
        except Later as later:
            self._uncounted[pair] = self._uncounted.get(pair, 0) + 1
            return later
        return _braked(failures) if failures.count > WRONG_PASSWORDS else Fault(BAD_CREDENTIALS, "Invalid credentials.")

    async def _change(self, user: User, wanted: str) -> User:
        new = await access.hashed(wanted)
        changed = await self._db.write(lambda tx: users.change_password(tx, user.name, new, user.epoch))
        if changed is None:
            raise Fault(BAD_CREDENTIALS, "The password was changed by somebody else in this moment: log in with the new one.")
        return changed

    async def _through_the_door(self, wanted: object) -> User:
        """The factory password sets the first real one, once."""
        if wanted is None:
            details = 'The factory password only sets another one: send it as {"new_password": "..."} with this login.'
            raise Fault(PASSWORD_CHANGE_REQUIRED, f"{details} ({passwords.RULE})")
        new = await access.hashed(passwords.check(wanted))
        changed = await self._db.write(partial(_use_the_door, password_hash=new))
        if changed is None:
            raise Fault(BAD_CREDENTIALS, "Invalid credentials.")
        return changed


def _door_is_open(tx: Tx) -> bool:
    """Open for the epoch it was made for: whatever else ends the administrator's tokens closes it."""
    epoch = settings.get(tx, settings.FACTORY_DOOR)
    admin = users.find(tx, ADMIN) if epoch is not None else None
    return admin is not None and admin.epoch == epoch


def _use_the_door(tx: Tx, password_hash: str) -> User | None:
    epoch = settings.get(tx, settings.FACTORY_DOOR)
    settings.drop(tx, settings.FACTORY_DOOR)
    return None if epoch is None else users.change_password(tx, ADMIN, password_hash, epoch)


def _account(name: str) -> str:
    """The brake's key of a name; a name that cannot be may be long or hold anything, so a digest stands for it."""
    return name if names.may_be(name) else hashlib.sha256(name.encode()).hexdigest()


def _braked(failures: brake.Failures) -> Later:
    details = f"{WRONG_PASSWORDS} wrong passwords within a minute for this user from this address: wait {failures.left:.0f} s."
    return Later(TOO_MANY_PASSWORDS, details, failures.left)
