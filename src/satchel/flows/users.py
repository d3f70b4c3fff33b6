"""Users: made, given another password, removed. Each change ends the tokens it concerns on every host at once."""

from collections.abc import Callable

from satchel.db import Database, Tx, brake, idempotency, users
from satchel.domain import passwords
from satchel.domain import users as names
from satchel.domain.errors import BAD_CREDENTIALS, FORBIDDEN, USER_EXISTS, USER_UNKNOWN, Fault
from satchel.domain.users import ADMIN, ROLE_USER
from satchel.flows import access


async def add(db: Database, name: object, password: object, role: str = ROLE_USER) -> str:
    """Create a user; its name. Raises `Fault` for a name or password against the rules, or a name that is taken."""
    username, chosen = names.check(name), passwords.check(password)
    if await db.read(lambda tx: users.find(tx, username)) is None:
        new = await access.hashed(chosen)
        if await db.write(lambda tx: users.add(tx, username, role, new)) is not None:
            return username
    raise Fault(USER_EXISTS, "Unable to create user. Already exist?")


async def set_password(db: Database, name: str, password: object, epoch: int | None = None) -> None:
    """Give a user another password; the wrong ones of before count no more. Raises `Fault` for one against the rule, or an unknown user.

    `epoch`: of the user who changes its own; whatever ended its tokens since then counts, and this does not.
    """
    new = await access.hashed(passwords.check(password))
    if epoch is None:
        await _change(db, name, lambda tx: _change_password(tx, name, new))
    elif not await db.write(lambda tx: _change_password(tx, name, new, epoch)):
        raise Fault(BAD_CREDENTIALS, "The password was changed by somebody else in this moment: log in with the new one.")


async def remove(db: Database, name: str) -> None:
    """Delete a user. Raises `Fault` for the administrator, or when there is no such user."""
    if name == ADMIN:
        raise Fault(FORBIDDEN, f"The user {ADMIN} cannot be deleted: every node has it.")
    await _change(db, name, lambda tx: _remove(tx, name))


async def end_tokens(db: Database, name: str) -> None:
    """Log a user out everywhere. Raises `Fault` when there is no such user."""
    await _change(db, name, lambda tx: users.end_tokens(tx, name))


async def find(db: Database, name: str) -> users.User:
    """The user. Raises `Fault` when there is none; a name that no user can have is never looked up."""
    user = await db.read(lambda tx: users.find(tx, name)) if names.may_be(name) else None
    if user is None:
        raise _unknown(name)
    return user


async def _change(db: Database, name: str, change: Callable[[Tx], object]) -> None:
    """`change` answers nothing where there is no such user."""
    if not names.may_be(name) or not await db.write(change):
        raise _unknown(name)


def _unknown(name: str) -> Fault:
    return Fault(USER_UNKNOWN, f"There is no user {name!r:.60}.")


def _change_password(tx: Tx, name: str, password_hash: str, epoch: int | None = None) -> bool:
    changed = users.change_password(tx, name, password_hash, epoch) is not None
    if changed:
        brake.forget(tx, name)
    return changed


def _remove(tx: Tx, name: str) -> bool:
    idempotency.forget(tx, name)
    return users.remove(tx, name)
