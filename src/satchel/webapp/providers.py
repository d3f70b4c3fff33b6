"""/v1/settings/application/media/providers: whose credentials links are fetched with. Secrets go in and never come out."""

import re
from typing import Any
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from satchel.db import providers as rows
from satchel.db.providers import Provider
from satchel.domain.errors import NOT_FOUND, PARAMETER_INVALID, PARAMETER_MISSING, Fault
from satchel.domain.members import is_text, shown, text
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply

NAME = re.compile(r"[A-Za-z_-]{1,200}", re.ASCII)
HIDDEN = "********"
PARTS = ("username", "password")


class Providers:
    """The list; one is added at a time, and one of the same name takes the place of the earlier."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        admin = await gate.admin(headers)
        db = self._webapp.ports.db
        if scope["method"] == "POST":
            provider = _read(await gate.then(headers, bodies.json(receive)))
            await db.write(lambda tx: rows.keep(tx, provider, admin.name))
            await reply()(scope, receive, send)
        else:
            found = [_shown(provider) for provider in await db.read(rows.every)]
            await reply({"settings": {"application": {"media": {"providers": found}}}})(scope, receive, send)


class OneProvider:
    """The end of one."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        admin = await self._webapp.gate.admin(bodies.headers_of(scope))
        name = scope["path_params"]["name"]
        if not await self._webapp.ports.db.write(lambda tx: rows.drop(tx, name, admin.name)):
            raise Fault(NOT_FOUND, f"There is no media provider {name[:64]}: GET the list for those there are.")
        await reply()(scope, receive, send)


def _read(given: Any) -> Provider:
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if not isinstance(given, dict):
        such = '[{"name": "files", "type": "www", "config": {"bearer": "…"}}]'
        raise Fault(PARAMETER_INVALID, f"The body must be a list of one provider, such as {such}.")
    name = text(given, "name", required=True) or ""
    if not NAME.fullmatch(name):
        raise Fault(PARAMETER_INVALID, f"name must have 1 to 200 letters, - and _, not {shown(name)}.")
    if (kind := text(given, "type") or "www") != "www":
        raise Fault(PARAMETER_INVALID, f'type must be "www", not {shown(kind)}.')
    config = _object(given, "config")
    bearer, basic = text(config, "bearer", "config", secret=True), _object(config, "basic")
    if bool(bearer) == bool(basic):
        raise Fault(PARAMETER_MISSING, "config needs either bearer, a token, or basic with username and password.")
    hosts = _hosts(given.get("hosts"))
    if bearer:
        return Provider(name, bearer=_plain(bearer, "config.bearer"), hosts=hosts)
    username, password = (_basic(basic, part) for part in PARTS)
    return Provider(name, username, password, hosts=hosts)


def _basic(basic: dict[str, Any], part: str) -> str:
    return _plain(text(basic, part, "config.basic", required=True, secret=True) or "", f"config.basic.{part}")


def _object(given: dict[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name)
    if not isinstance(value, dict | None):
        raise Fault(PARAMETER_INVALID, f"{name} must be an object.")
    return value or {}


def _plain(value: str, where: str) -> str:
    """What may stand in a header."""
    if not value.isprintable() or len(value) > 4096:
        raise Fault(PARAMETER_INVALID, f"{where} must have at most 4096 printable characters.")
    return value


def _hosts(given: Any) -> tuple[str, ...]:
    """Ours: the hosts that may see the credentials; without any only the one that the link itself names."""
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(host, str) and _is_host(host) for host in given):
        raise Fault(PARAMETER_INVALID, 'hosts must be a list of host names, such as ["files.example.com"].')
    return tuple(host.lower() for host in given)


def _is_host(given: str) -> bool:
    try:
        return is_text(given) and urlsplit(f"//{given}").hostname == given.lower()
    except ValueError:  # brackets that enclose no address
        return False


def _shown(provider: Provider) -> dict[str, Any]:
    secret = {"bearer": HIDDEN} if provider.bearer else {"basic": {"username": provider.username, "password": HIDDEN}}
    return {"name": provider.name, "type": "www", "config": secret} | ({"hosts": list(provider.hosts)} if provider.hosts else {})
