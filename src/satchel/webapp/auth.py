"""Who is asking: Basic at the login, a signed token afterwards. Tokens cost no row; a user's epoch ends all older ones at once."""

import base64
import binascii
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from satchel.db import Database, Tx, settings, tokens, users
from satchel.db.users import User
from satchel.domain.errors import BAD_CREDENTIALS, FORBIDDEN, Fault
from satchel.domain.users import ROLE_ADMIN
from satchel.flows.login import Logins
from satchel.flows.tokens import Claims, Token, decoded, mint
from satchel.webapp import Config

T = TypeVar("T")
BEARER = b"Bearer "
ALIAS = "d360-api-key"
"""The header that clients of 360dialog send their token in."""
SIGNATURE_KEPT = 300.0
"""Seconds for which a token's signature needs no second look."""
MOST_KNOWN = 10_000


class Gate:
    """Checks credentials against the database. `config`: the keys."""

    def __init__(self, db: Database, config: Config) -> None:
        self._db = db
        self._api_key = config.api_key.encode()
        self._token_key = config.token_key
        self._logins = Logins(db)
        self._known: dict[str, tuple[Claims, float]] = {}

    async def login(self, headers: Mapping[str, str], address: str, wanted: object = None) -> Token:
        """A token for a Basic header. `wanted`: the password to have from now on. Raises `Fault`, and `Later` after too many wrong ones."""
        name, password = _basic(headers.get("authorization"))
        user = await self._logins.login(name, password, address, wanted)
        return mint(user, await self._key())

    async def logout(self, headers: Mapping[str, str]) -> None:
        """The end of the token that asks for it, and of no other. Raises `Fault(BAD_CREDENTIALS)`."""
        claims = await self._claims(headers)
        await self._bearer(claims)
        await self._db.write(lambda tx: tokens.revoke(tx, claims.jti, claims.exp))

    async def user(self, headers: Mapping[str, str]) -> User:
        """Who bears this token. Raises `Fault(BAD_CREDENTIALS)`. On the path of every request: one look into memory, one statement."""
        return await self._bearer(await self._claims(headers))

    async def user_and(self, headers: Mapping[str, str], look: Callable[[Tx, Claims], tuple[bool, T]]) -> T:
        """What one statement finds that also says whether the token lives. Raises `Fault(BAD_CREDENTIALS)` when it does not."""
        claims = await self._claims(headers)
        lives, found = await self._db.read(lambda tx: look(tx, claims), alone=True)
        if not lives:
            raise _ended()
        return found

    async def then(self, headers: Mapping[str, str], said: Awaitable[T]) -> T:
        """What a request says, if its token still lives when all has been said: a body that comes slowly must not outlive a logout.

        For what follows on `user` or `admin`, which refuse before a body is read. Raises `Fault(BAD_CREDENTIALS)`.
        """
        heard = await said
        await self.user(headers)
        return heard

    def known(self, authorization: bytes) -> Claims | None:
        """What a bearer's token says whose signature was checked lately; whether it still lives is not looked at."""
        claims, until = self._known.get(authorization[len(BEARER) :].decode("latin-1")) or (None, 0.0)
        now = time.time()
        return claims if claims is not None and now < min(until, claims.exp) and authorization.startswith(BEARER) else None

    async def admin(self, headers: Mapping[str, str]) -> User:
        """Like `user`, and raises `Fault(FORBIDDEN)` for anybody but an administrator."""
        user = await self.user(headers)
        if user.role != ROLE_ADMIN:
            raise Fault(FORBIDDEN, "Only an administrator may do this: log in as admin.")
        return user

    async def observer(self, headers: Mapping[str, str]) -> None:
        """Whoever may look at health and metrics: any user, or the holder of `webapp.api_key`. Raises `Fault(BAD_CREDENTIALS)`."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "apikey":
            await self.user(headers)
        elif not self._api_key or not hmac.compare_digest(value.strip().encode(), self._api_key):
            raise _wrong("The API key is not the one that SATCHEL_WEBAPP__API_KEY sets.")

    async def _bearer(self, claims: Claims) -> User:
        user = await self._db.read(lambda tx: users.bearer(tx, claims.sub, claims.epoch, claims.jti), alone=True)
        if user is None:
            raise _ended()
        return user

    async def _claims(self, headers: Mapping[str, str]) -> Claims:
        """What the token says, its signature and its end checked."""
        token, now = _token(headers), time.time()
        claims, until = self._known.get(token) or (None, 0.0)
        if claims is None or now > until:
            claims = decoded(token, await self._key())
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[token] = claims, now + SIGNATURE_KEPT
        if claims.exp <= now:
            raise _wrong("The token has expired: log in again.")
        return claims

    async def _key(self) -> str:
        if not self._token_key:
            self._token_key = await self._db.write(settings.token_key)
        return self._token_key


def _token(headers: Mapping[str, str]) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    token = value if scheme.lower() == "bearer" else headers.get(ALIAS, "")
    if not (token := token.strip()):
        raise _wrong("Send the header Authorization: Bearer <token>; POST /v1/users/login gives one.")
    return token


def _basic(authorization: str | None) -> tuple[str, str]:
    scheme, _, value = (authorization or "").partition(" ")
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        name = colon = password = ""
    if scheme.lower() != "basic" or not colon or "\0" in name:
        raise _wrong("Send the user name and password as HTTP Basic authorization (curl -u user:password).")
    return name, password


def _ended() -> Fault:
    return _wrong("The token is no longer valid: log in again.")


def _wrong(details: str) -> Fault:
    return Fault(BAD_CREDENTIALS, details)
