"""/_satchel/v1/messages: what the business sent and what became of it, with the timeline of each; and trying a failed one again."""

from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from satchel.db import Tx, callbacks, message_listing, steps
from satchel.db.callbacks import Attempt, Told
from satchel.db.message_listing import Known, Sent, Wanted
from satchel.domain.errors import MESSAGE_UNKNOWN, PARAMETER_INVALID, Fault
from satchel.domain.members import is_text
from satchel.domain.messages import SUPPORTED, shown_link
from satchel.domain.numbers import wa_id
from satchel.domain.statuses import causes
from satchel.domain.steps import Step
from satchel.flows import send as sending
from satchel.webapp import Webapp, bodies, queries
from satchel.webapp.listing import rfc3339
from satchel.webapp.replies import reply


class SentMessages:
    """The list, the newest first."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.user(bodies.headers_of(scope))
        asked = QueryParams(scope["query_string"])
        values = queries.read(asked, PARAMETERS)
        limit, before, wanted = values.pop("limit", queries.LIMIT), values.pop("before", None), Wanted(**values)
        page = await self._webapp.ports.db.read(lambda tx: message_listing.page(tx, wanted, before, limit))
        headers = {}
        if page.end is not None:
            following = urlencode({**asked, "limit": limit, "before": page.end})
            headers["Link"] = f'<{scope["path"]}?{following}>; rel="next"'
        await reply({"messages": [_shown(one) for one in page.messages]}, headers=headers)(scope, receive, send)


class OneSent:
    """One, with its steps, its statuses and its callbacks."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.user(bodies.headers_of(scope))
        await _answer(self._webapp, scope, receive, send)


class Retry:
    """Send a failed one again. For administrators."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.admin(bodies.headers_of(scope))
        message_id = _id(scope)
        if await self._webapp.ports.db.read(lambda tx: message_listing.one(tx, message_id)) is None:
            raise _unknown(message_id)
        await sending.retry(self._webapp.ports, message_id)
        await _answer(self._webapp, scope, receive, send)


async def _answer(webapp: Webapp, scope: Scope, receive: Receive, send: Send) -> None:
    message_id = _id(scope)
    found = await webapp.ports.db.read(lambda tx: _whole(tx, message_id))
    if found is None:
        raise _unknown(message_id)
    await reply({"messages": [found]})(scope, receive, send)


def _whole(tx: Tx, message_id: str) -> dict[str, Any] | None:
    sent = message_listing.one(tx, message_id)
    if sent is None:
        return None
    told = callbacks.about(tx, causes(sent.id, sent.retries + 1))
    held = message_listing.held(tx, message_id)
    return {
        **_shown(sent),
        "behind": held.behind,
        "why": held.why,
        "steps": [_step(step) for step in steps.of_message(tx, message_id)],
        "statuses": [_status(status) for status in sent.statuses],
        "callbacks": [_callback(*one) for one in told],
    }


def _shown(sent: Sent) -> dict[str, Any]:
    last = sent.statuses[-1] if sent.statuses else None
    return {
        "id": sent.id,
        "cursor": sent.seq,
        "to": sent.to,
        "type": sent.type,
        "state": sent.state,
        "accepted_at": rfc3339(sent.accepted_at),
        "media_id": sent.media_id,
        "link": None if sent.link is None else shown_link(sent.link),
        "attempts": sent.attempts,
        "last_status": None if last is None else _status(last),
        "fault": None if last is None or not last.errors else last.errors[0],
    }


def _status(known: Known) -> dict[str, Any]:
    return {"status": known.status, "at": rfc3339(known.at_net)}


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.step,
        "at": rfc3339(step.at),
        "ms": step.ms,
        "host": step.host,
        "attempt": step.attempt,
        "outcome": step.outcome,
        "reason": step.reason,
    }


def _callback(told: Told, attempts: list[Attempt]) -> dict[str, Any]:
    """What it said and where a replay went is for administrators: GET /_satchel/v1/callbacks/{id}."""
    return {
        "id": told.id,
        "cause": told.cause,
        "state": told.state,
        "created_at": rfc3339(told.created_at),
        "due_in": told.due_in,
        "attempts": [{"n": one.n, "at": rfc3339(one.at), "result": one.result, "ms": one.ms} for one in attempts],
    }


def _id(scope: Scope) -> str:
    message_id = str(scope["path_params"]["id"])
    if not is_text(message_id):
        raise _unknown(message_id)
    return message_id


def _unknown(message_id: str) -> Fault:
    return Fault(MESSAGE_UNKNOWN, f"There is no message {message_id[:64]!r}: GET the list for those there are.")


def _to(text: str) -> str:
    try:
        return wa_id(text)
    except Fault as fault:
        raise Fault(PARAMETER_INVALID, f"The parameter to is wrong: {fault.details}") from None


PARAMETERS = {
    "limit": queries.limit,
    "before": queries.place,
    "state": queries.one_of("state", message_listing.STATES),
    "to": _to,
    "type": queries.one_of("type", SUPPORTED),
}
