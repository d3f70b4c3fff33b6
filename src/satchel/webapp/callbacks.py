"""/_satchel/v1/callbacks: what the business was told, what waits, and telling it again. For administrators."""

import asyncio
from typing import Any

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from satchel.db import callbacks as rows
from satchel.db.callbacks import Told
from satchel.domain.application import shown_url
from satchel.domain.errors import NOT_FOUND, PARAMETER_INVALID, Fault
from satchel.domain.members import is_text, shown, text
from satchel.domain.quantities import duration
from satchel.flows import replays
from satchel.webapp import Webapp, bodies
from satchel.webapp.listing import rfc3339
from satchel.webapp.queries import LIMIT, MOST
from satchel.webapp.replies import reply

LONGEST_WAIT, LOOK = 30.0, 0.2
"""Seconds: how long a reader may wait for the next callback, and between two looks."""


class Callbacks:
    """The list, the newest first."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.admin(bodies.headers_of(scope))
        asked = QueryParams(scope["query_string"])
        limit, state, before = _number(asked, "limit", LIMIT, MOST), asked.get("state"), _number(asked, "before", None)
        if state not in (None, *rows.STATES):
            raise Fault(PARAMETER_INVALID, f"The parameter state is {shown(state)}: it must be one of {', '.join(rows.STATES)}.")
        found = await self._webapp.ports.db.read(lambda tx: rows.newest(tx, state, before, limit or LIMIT))
        await reply({"callbacks": [_shown(one) for one in found]})(scope, receive, send)


class Feed:
    """Those after a cursor, the oldest first; `wait`: until there is one. The cursor of an empty answer is where it stands."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.admin(bodies.headers_of(scope))
        db, asked = self._webapp.ports.db, QueryParams(scope["query_string"])
        horizon = db.dialect["settled"]
        after, limit = _number(asked, "after", None), _number(asked, "limit", LIMIT, MOST) or LIMIT
        if after is None:
            after = await db.read(lambda tx: rows.cursor(tx, horizon, _seconds(asked, "since", None)))
        until = asyncio.get_running_loop().time() + (_seconds(asked, "wait", LONGEST_WAIT) or 0.0)
        while not (found := await db.read(lambda tx: rows.following(tx, horizon, after, limit))):
            if asyncio.get_running_loop().time() >= until:
                break
            await asyncio.sleep(LOOK)
        body = {"callbacks": [_shown(one) for one in found], "cursor": found[-1].seq if found else after}
        await reply(body)(scope, receive, send)


class OneCallback:
    """One, with its attempts."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.admin(bodies.headers_of(scope))
        callback_id = scope["path_params"]["id"].replace("\0", "")
        found = await self._webapp.ports.db.read(lambda tx: (rows.find(tx, callback_id), rows.attempts(tx, callback_id)))
        if found[0] is None:
            raise Fault(NOT_FOUND, f"There is no callback {callback_id[:64]}: GET the list for those there are.")
        attempts = [{"n": one.n, "at": rfc3339(one.at), "result": one.result, "ms": one.ms, "answer": one.excerpt} for one in found[1]]
        await reply({"callbacks": [{**_shown(found[0]), "attempts": attempts}]})(scope, receive, send)


class Replays:
    """Tell some again: by id, those that failed, or those since a time. Each keeps the id that receivers know it by."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        await gate.admin(headers)
        wanted = _wanted(await gate.then(headers, bodies.members(receive)))
        made = await replays.replay(self._webapp.ports, wanted)
        await reply({"callbacks": [{"id": one} for one in made]})(scope, receive, send)


class Tests:
    """A callback that says nothing, to see whether one arrives."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.admin(bodies.headers_of(scope))
        made = await replays.test(self._webapp.ports)
        await reply({"callbacks": [{"id": made}]})(scope, receive, send)


def _wanted(said: dict[str, Any]) -> replays.Wanted:
    ids, since, to = said.get("ids"), text(said, "since"), text(said, "to")
    if not isinstance(ids, list | None) or not all(isinstance(one, str) and is_text(one) for one in ids or []):
        raise Fault(PARAMETER_INVALID, f"ids must be a list of ids, not {shown(ids)}.")
    failed = said.get("failed")
    if not isinstance(failed, bool | None) or sum((bool(ids), bool(failed), since is not None)) != 1:
        raise Fault(PARAMETER_INVALID, 'Say which callbacks: {"ids": […]}, {"failed": true} or {"since": "2h"}, one of them.')
    return replays.Wanted(tuple(ids or ()), bool(failed), None if since is None else _duration("since", since), to)


def _shown(told: Told) -> dict[str, Any]:
    return {
        "id": told.id,
        "cursor": told.seq,
        "shown_id": told.shown_id,
        "cause": told.cause,
        "contact": told.wa_id,
        "state": told.state,
        "created_at": rfc3339(told.created_at),
        "attempts": told.attempts,
        "due_in": told.due_in,
        "to": None if told.to_url is None else shown_url(told.to_url),
        "body": told.body,
    }


def _number(asked: QueryParams, name: str, default: int | None, most: int = 1 << 62) -> int | None:
    given = asked.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= most):
        raise Fault(PARAMETER_INVALID, f"The parameter {name} is {shown(given)}: it must be a number up to {most}.")
    return int(given)


def _seconds(asked: QueryParams, name: str, most: float | None) -> float | None:
    given = asked.get(name)
    seconds = None if given is None else _duration(name, given)
    return seconds if seconds is None or most is None else min(seconds, most)


def _duration(name: str, given: str) -> float:
    try:
        return duration(given)
    except ValueError as error:
        raise Fault(PARAMETER_INVALID, f"{name}: {error}.") from None
