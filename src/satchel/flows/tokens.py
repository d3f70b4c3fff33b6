"""Tokens: signed, not kept. What ends one before its time is the user's epoch, or a row in the table revoked."""

import re
import secrets
import time
from dataclasses import dataclass
from typing import Annotated

import jwt
import msgspec

from satchel.db import Database, Tx, settings, tokens, users
from satchel.db.users import User
from satchel.domain.errors import BAD_CREDENTIALS, PARAMETER_INVALID, Fault
from satchel.domain.limits import TOKEN_LIFE, TOKEN_LONGEST

Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]{1,64}\Z")]


@dataclass(frozen=True)
class Token:
    """`expires_at`: wall time in seconds."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


class Claims(msgspec.Struct, frozen=True):
    """What a token says; `exp` is wall time in seconds."""

    sub: Text
    epoch: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    jti: Text
    exp: float


def mint(user: User, key: str, life: float = TOKEN_LIFE) -> Token:
    """A token for so many seconds."""
    expires_at = int(time.time() + life)
    claims = {"sub": user.name, "epoch": user.epoch, "jti": secrets.token_hex(8), "exp": expires_at}
    return Token(jwt.encode(claims, key, algorithm="HS256"), expires_at)


def decoded(token: str, key: str) -> Claims:
    """What a token says, its signature checked, its end not. Raises `Fault(BAD_CREDENTIALS)`."""
    try:
        return msgspec.convert(jwt.decode(token, key, algorithms=["HS256"], options={"verify_exp": False}), Claims)
    except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError):
        raise Fault(BAD_CREDENTIALS, "The token is not one of this node: log in with POST /v1/users/login.") from None


async def mint_token(db: Database, name: str, key: str = "", life: float = TOKEN_LIFE) -> str | None:
    """A fresh token of a user for so many seconds; None when there is no such user. `key`: signs, else the database's own."""

    def look(tx: Tx) -> str | None:
        user = users.find(tx, name)
        return None if user is None else mint(user, key or settings.token_key(tx), life).value

    return await db.write(look)


async def revoke(db: Database, given: str, key: str = "") -> None:
    """End one token, named by itself or by its jti; one that nobody knows ends as late as a token can. Raises `Fault` for anything else."""
    if re.fullmatch(r"[0-9a-f]{16}", given):
        jti, expires_at = given, time.time() + TOKEN_LONGEST
    elif given.count(".") == 2:
        claims = decoded(given, key or await db.write(settings.token_key))
        jti, expires_at = claims.jti, claims.exp
    else:
        raise Fault(PARAMETER_INVALID, "This is neither a token nor a jti (16 hexadecimal digits): nothing was ended.")
    await db.write(lambda tx: tokens.revoke(tx, jti, expires_at))
