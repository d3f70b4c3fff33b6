"""Rows of the user table. The epoch changes with each change of password, so that older tokens die on every host."""

import secrets
from dataclasses import dataclass

from satchel.db import Tx

ALIVE = "name = :name AND epoch = :epoch AND NOT EXISTS (SELECT 1 FROM revoked WHERE jti = :jti)"
COLUMNS = "name, role, password_hash, epoch"


@dataclass(frozen=True)
class User:
    """`role`: ROLE_ADMIN or ROLE_USER; the hash stays out of every repr."""

    name: str
    role: str
    password_hash: str
    epoch: int

    def __repr__(self) -> str:
        return f"User(name={self.name!r}, role={self.role!r}, epoch={self.epoch})"


def find(tx: Tx, name: str) -> User | None:
    """The user of this name."""
    row = tx.one(f'SELECT {COLUMNS} FROM "user" WHERE name = :name', name=name)
    return None if row is None else User(*row)


def bearer(tx: Tx, name: str, epoch: int, jti: str) -> User | None:
    """The user whose token this is; None when it has died since: by another epoch, by the user's end, by being given back."""
    row = tx.one(
        f'SELECT {COLUMNS} FROM "user" WHERE {ALIVE}',
        name=name,
        epoch=epoch,
        jti=jti,
    )
    return None if row is None else User(*row)


def every(tx: Tx) -> list[User]:
    """All users by name."""
    return [User(*row) for row in tx.all(f'SELECT {COLUMNS} FROM "user" ORDER BY name')]


def add(tx: Tx, name: str, role: str, password_hash: str) -> User | None:
    """Create a user; None when there is one of this name.

    It starts at a random epoch: the tokens of an earlier user of this name stay dead.
    """
    user = User(name, role, password_hash, secrets.randbelow(1 << 52))
    added = tx.run(
        'INSERT INTO "user" (name, role, password_hash, epoch) VALUES (:name, :role, :hash, :epoch) ON CONFLICT (name) DO NOTHING',
        name=name,
        role=role,
        hash=password_hash,
        epoch=user.epoch,
    )
    return user if added else None


def change_password(tx: Tx, name: str, password_hash: str, epoch: int | None = None) -> User | None:
    """The user with another password, and every older token dead; None when there is no such user, or not at this epoch any more."""
    at_epoch = "" if epoch is None else " AND epoch = :epoch"
    row = tx.one(
        f'UPDATE "user" SET password_hash = :hash, epoch = epoch + 1 WHERE name = :name{at_epoch} RETURNING {COLUMNS}',
        name=name,
        hash=password_hash,
        epoch=epoch,
    )
    return None if row is None else User(*row)


def hash_anew(tx: Tx, user: User, password_hash: str) -> bool:
    """Another hash of the same password, unless that was changed meanwhile; tokens live on."""
    return (
        tx.run(
            'UPDATE "user" SET password_hash = :hash WHERE name = :name AND epoch = :epoch',
            name=user.name,
            epoch=user.epoch,
            hash=password_hash,
        )
        == 1
    )


def end_tokens(tx: Tx, name: str) -> bool:
    """Let every token of a user die; False when there is no such user."""
    return tx.run('UPDATE "user" SET epoch = epoch + 1 WHERE name = :name', name=name) == 1


def remove(tx: Tx, name: str) -> bool:
    """Delete a user, and with it every token; False when there is no such user."""
    return tx.run('DELETE FROM "user" WHERE name = :name', name=name) == 1
