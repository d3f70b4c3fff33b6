"""Rows of the user table. The epoch goes up with each change of password or role, so that older tokens die on every host."""

from dataclasses import dataclass

from satchel.db import Tx

ADMIN = "admin"


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
    row = tx.one('SELECT name, role, password_hash, epoch FROM "user" WHERE name = :name', name=name)
    return None if row is None else User(*row)


def add_admin(tx: Tx, password_hash: str) -> bool:
    """Create the administrator; False when somebody was there first."""
    return (
        tx.run(
            "INSERT INTO \"user\" (name, role, password_hash, epoch) VALUES (:name, 'ROLE_ADMIN', :hash, 1) ON CONFLICT (name) DO NOTHING",
            name=ADMIN,
            hash=password_hash,
        )
        == 1
    )


def change_password(tx: Tx, name: str, password_hash: str) -> None:
    """Set another password; every token handed out before dies."""
    tx.run('UPDATE "user" SET password_hash = :hash, epoch = epoch + 1 WHERE name = :name', name=name, hash=password_hash)
