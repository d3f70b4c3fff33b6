"""Users: made, given another password, removed. Each change ends the tokens it concerns on every host at once."""

from satchel.db import Database, users
from satchel.domain import passwords
from satchel.domain import users as names
from satchel.domain.errors import FORBIDDEN, USER_EXISTS, USER_UNKNOWN, Fault
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


async def set_password(db: Database, name: str, password: object) -> None:
    """Give a user another password. Raises `Fault` for one against the rule, or when there is no such user."""
    chosen = passwords.check(password)
    await find(db, name)
    new = await access.hashed(chosen)
    if await db.write(lambda tx: users.change_password(tx, name, new)) is None:
        raise unknown(name)


async def remove(db: Database, name: str) -> None:
    """Delete a user. Raises `Fault` for the administrator, or when there is no such user."""
    if name == ADMIN:
        raise Fault(FORBIDDEN, f"The user {ADMIN} cannot be deleted: every node has it.")
    await find(db, name)
    if not await db.write(lambda tx: users.remove(tx, name)):
        raise unknown(name)


async def end_tokens(db: Database, name: str) -> None:
    """Log a user out everywhere. Raises `Fault` when there is no such user."""
    await find(db, name)
    if not await db.write(lambda tx: users.end_tokens(tx, name)):
        raise unknown(name)


async def find(db: Database, name: str) -> users.User:
    """The user. Raises `Fault` when there is none; a name that no user can have is never looked up."""
    user = await db.read(lambda tx: users.find(tx, name)) if names.may_be(name) else None
    if user is None:
        raise unknown(name)
    return user


def unknown(name: str) -> Fault:
    """Nobody has this name."""
    return Fault(USER_UNKNOWN, f"There is no user {name!r:.60}: POST /v1/users creates one.")
