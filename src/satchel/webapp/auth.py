"""Who is asking: Basic at the login, a signed token afterwards. Tokens cost no row; a user's epoch ends all older ones at once."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets

import jwt
from cachetools import TTLCache
from starlette.datastructures import Headers

from satchel.db import Database, settings, users
from satchel.db.users import User
from satchel.domain.errors import BAD_CREDENTIALS, FORBIDDEN, Fault
from satchel.flows.access import Token, fits, mint, nobodys_hash

REMEMBER = 300.0
"""Seconds for which a verified password needs no hashing: old clients log in before every call."""
HASHES_AT_ONCE = 2


class Gate:
    """Checks credentials against the database."""

    def __init__(self, db: Database, api_key: str = "") -> None:
        self._db = db
        self._api_key = api_key
        self._key: str | None = None
        self._pepper = secrets.token_bytes(32)
        self._verified: TTLCache[bytes, bool] = TTLCache(maxsize=10_000, ttl=REMEMBER)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    async def login(self, authorization: str | None) -> tuple[Token, User]:
        """A token for a Basic header. Raises `Fault(BAD_CREDENTIALS)`."""
        name, password = _basic(authorization)
        user = await self._db.read(lambda tx: users.find(tx, name))
        right = await self._right(user, password)
        if user is None or not right:
            raise _wrong("Invalid credentials.")
        return mint(user, await self._token_key()), user

    async def user(self, authorization: str | None) -> User:
        """Who bears this token. Raises `Fault(BAD_CREDENTIALS)`."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            raise _wrong("Send the header Authorization: Bearer <token>; POST /v1/users/login gives one.")
        try:
            claims = jwt.decode(
                value.strip(), await self._token_key(), algorithms=["HS256"], options={"require": ["exp", "sub", "epoch", "jti"]}
            )
        except jwt.ExpiredSignatureError:
            raise _wrong("The token has expired: log in again.") from None
        except jwt.InvalidTokenError:
            raise _wrong("The token is not one of this node: log in with POST /v1/users/login.") from None
        user = await self._db.read(lambda tx: users.find(tx, str(claims["sub"])))
        if user is None or user.epoch != claims["epoch"]:
            raise _wrong("The token is no longer valid: log in again.")
        return user

    async def admin(self, authorization: str | None) -> User:
        """Like `user`, and raises `Fault(FORBIDDEN)` for anybody but an administrator."""
        user = await self.user(authorization)
        if user.role != "ROLE_ADMIN":
            raise Fault(FORBIDDEN, "Only an administrator may do this: log in as admin.")
        return user

    async def observer(self, headers: Headers) -> None:
        """Whoever may look at the node's state: any user, or the bearer of the API key. Raises `Fault(BAD_CREDENTIALS)`."""
        authorization = headers.get("authorization")
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() != "apikey":
            await self.user(authorization)
        elif not self._api_key or not hmac.compare_digest(value.strip().encode(), self._api_key.encode()):
            raise _wrong("The API key is not the one that SATCHEL_WEBAPP__API_KEY sets.")

    async def _right(self, user: User | None, password: str) -> bool:
        """Whether the password is the user's. Hashes for an unknown name too: the time must not tell who exists."""
        known = user.password_hash if user else await asyncio.to_thread(nobodys_hash)
        mark = hmac.new(self._pepper, f"{known}\0{password}".encode(), hashlib.sha256).digest()
        if mark in self._verified:
            return True
        async with self._hashing:
            right = await asyncio.to_thread(fits, known, password)
        if right:
            self._verified[mark] = True
        return right

    async def _token_key(self) -> str:
        if self._key is None:
            self._key = await self._db.write(settings.token_key)
        return self._key


def _basic(authorization: str | None) -> tuple[str, str]:
    scheme, _, value = (authorization or "").partition(" ")
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = colon = password = ""
    if scheme.lower() != "basic" or not colon or "\0" in name:
        raise _wrong("Send the user name and password as HTTP Basic authorization (curl -u user:password).")
    return name, password


def _wrong(details: str) -> Fault:
    return Fault(BAD_CREDENTIALS, details)
