"""Copies on the media server: their rows, addresses and 14 days (`world.life`). The bytes are in `vault.py`.

A direct_path is `/v/<token>_<world>.enc?oe=<hex seconds>&oh=<signature>`. Its `oe` is the expiry the copy was born with and stays
as it is when the 14 days start anew, since the address must keep byte for byte; what counts is the row's `expires`.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

from .envelope import MediaType
from .errors import Refusal
from .store import Tx
from .world import World, load

_NAME = re.compile(r"/v/([A-Za-z0-9_-]{43})_(w[0-9a-f]+)\.enc")


@dataclass(frozen=True)
class Copy:
    """A row. `token`: base64url of the SHA-256 of the encrypted blob; `kind`: the part of the upload path; `size`: bytes of the blob."""

    token: str
    kind: str
    size: int
    direct_path: str
    expires: float  # network time


def token_of(sha256: bytes) -> str:
    """base64url of a SHA-256, without padding."""
    return base64.urlsafe_b64encode(sha256).rstrip(b"=").decode()


def kind_of(media_type: MediaType) -> str:
    """The part of the upload path that media of a type go by: stickers go by that of images."""
    return "image" if media_type == "sticker" else media_type


def find(tx: Tx, token: str, now: float) -> Copy | None:
    """The live copy of a token."""
    copy = _row(tx, token)
    return copy if copy and copy.expires > now else None


def keep(tx: Tx, began_in: str, token: str, kind: str, size: int, now: float) -> Copy:
    """Note what the vault has taken in. A live copy keeps its address, one that is over gets a new one."""
    world = load(tx)
    if world.id != began_in:
        raise Refusal(503, "world_changed", "The world was reset during this upload: upload again.")
    if copy := find(tx, token, now):
        return refresh(tx, copy, now)
    expires = now + world.life
    copy = Copy(token, kind, size, address(world, token, int(expires)), expires)
    tx.execute("INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?, ?)", (copy.token, copy.kind, copy.size, copy.direct_path, copy.expires))
    return copy


def refresh(tx: Tx, copy: Copy, now: float) -> Copy:
    """The 14 days start anew."""
    expires = now + load(tx).life
    tx.execute("UPDATE copy SET expires = ? WHERE token = ?", (expires, copy.token))
    return replace(copy, expires=expires)


def use(tx: Tx, copy: Copy, now: float) -> None:
    """The same for a message; what was refreshed within the last second stays, so that one media for thousands is one change a second."""
    if copy.expires < now + load(tx).life - 1:
        refresh(tx, copy, now)


def over(tx: Tx, now: float) -> list[str]:
    """Tokens whose bytes nobody may have any more."""
    return [token for (token,) in tx.execute("SELECT token FROM copy WHERE expires <= ?", (now,))]


def ends(tx: Tx, direct_path: str) -> float | None:
    """When the time of the copy at an address is or was over; None: it is over, and no longer known when."""
    copy = _known(tx, direct_path)
    return copy.expires if copy else None


def at(tx: Tx, direct_path: str, now: float) -> Copy:
    """The live copy at an address: 404 when there is none, 403 when the signature does not fit, 410 when its time is over."""
    if (known := _known(tx, direct_path)) and known.expires > now:
        return known
    world, parts = load(tx), urlsplit(direct_path)
    name = _NAME.fullmatch(parts.path)
    copy = _row(tx, name[1]) if name and name[2] == world.id else None
    if copy is None:
        raise Refusal(404, "unknown_path", "There is no encrypted blob under this path: upload it and use the direct_path of the answer.")
    oe, oh = (parse_qs(parts.query).get(member, [""])[0] for member in ("oe", "oh"))
    if not hmac.compare_digest(_signature(world, parts.path, oe).encode(), oh.encode()):
        raise Refusal(403, "bad_signature", "The signature does not fit this path: use the whole direct_path, its query included.")
    # An older oe belongs to an earlier life of the same bytes, which ended: its address does not come back to life.
    if copy.expires <= now or oe != parse_qs(urlsplit(copy.direct_path).query)["oe"][0]:
        raise Refusal(410, "expired", f"The {world.days} days of this encrypted blob are over: upload it again.")
    return copy


def _known(tx: Tx, direct_path: str) -> Copy | None:
    """The copy whose address this is, to the byte: then its signature needs no look."""
    name = _NAME.match(direct_path)
    copy = _row(tx, name[1]) if name else None
    return copy if copy and hmac.compare_digest(copy.direct_path.encode(), direct_path.encode()) else None


def address(world: World, token: str, oe: int) -> str:
    path = f"/v/{token}_{world.id}.enc"
    return f"{path}?oe={oe:x}&oh={_signature(world, path, f'{oe:x}')}"


def _signature(world: World, path: str, oe: str) -> str:
    return token_of(hmac.new(world.key, f"{path}?oe={oe}".encode(), hashlib.sha256).digest())


def _row(tx: Tx, token: str) -> Copy | None:
    row = tx.execute("SELECT token, kind, size, direct_path, expires FROM copy WHERE token = ?", (token,)).fetchone()
    return Copy(*row) if row else None
