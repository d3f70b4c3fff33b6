"""Login, logout, and /v1/users."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from starlette.types import Receive, Scope, Send

from satchel.db.users import User
from satchel.domain.errors import FORBIDDEN, Fault
from satchel.domain.users import RESERVED, ROLE_ADMIN
from satchel.flows import users
from satchel.webapp import Webapp, bodies
from satchel.webapp.callers import CALLER
from satchel.webapp.replies import reply, wrong_method


class Login:
    """Basic credentials for a token. Of the body only `new_password` counts; whatever else old clients send along is let be."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = _new_password(await bodies.whole(receive))
        token = await self._webapp.gate.login(bodies.headers_of(scope), scope[CALLER], wanted)
        expires = datetime.fromtimestamp(token.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")
        await reply({"users": [{"token": token.value, "expires_after": expires}]})(scope, receive, send)


class Logout:
    """The end of one token."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.logout(bodies.headers_of(scope))
        await reply()(scope, receive, send)


class Users:
    """The collection: new users, made by administrators."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        await gate.admin(headers)
        said = await gate.then(headers, bodies.members(receive))
        name = await users.add(self._webapp.ports.db, said.get("username"), said.get("password"))
        await reply({"users": [{"username": name}]}, self._webapp.config.created)(scope, receive, send)


class OneUser:
    """One user: its role, another password, its end."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, db = scope["path_params"]["username"], self._webapp.ports.db
        if name in RESERVED:  # another address, which has one method
            raise wrong_method(scope["method"], scope["path"], "POST")
        headers = bodies.headers_of(scope)
        asking = await self._allow(headers, name, alone=scope["method"] == "DELETE")
        answer = {"username": name}
        match scope["method"]:
            case "PUT":
                said = await self._webapp.gate.then(headers, bodies.members(receive))
                await users.set_password(db, name, said.get("password"), asking.epoch if asking.name == name else None)
            case "DELETE":
                await users.remove(db, name)
            case _:
                answer["ROLES"] = (await users.find(db, name)).role
        await reply({"users": [answer]})(scope, receive, send)

    async def _allow(self, headers: Mapping[str, str], name: str, alone: bool) -> User:
        """Who asks. Administrators may do everything, a user may look at itself and change its password. `alone`: only administrators."""
        asking = await self._webapp.gate.user(headers)
        if asking.role != ROLE_ADMIN and (alone or asking.name != name):
            raise Fault(FORBIDDEN, "Only an administrator may do this to another user, or delete one: log in as admin.")
        return asking


def _new_password(body: bytes) -> Any:
    said = None
    with suppress(Fault):
        said = bodies.json_of(body)
    return said.get("new_password") if isinstance(said, dict) else None
