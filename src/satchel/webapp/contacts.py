"""POST /v1/contacts: which numbers are on the network."""

from typing import Any

from starlette.types import Receive, Scope, Send

from satchel.domain.errors import PARAMETER_INVALID, PARAMETER_MISSING, TOO_MANY_CONTACTS, Fault
from satchel.domain.limits import CONTACTS_AT_ONCE
from satchel.domain.members import is_text, shown
from satchel.flows import contacts
from satchel.flows.contacts import Checked
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Contacts:
    """Old clients ask before they send."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        await gate.user(headers)
        said = await gate.then(headers, bodies.members(receive))
        wait, force = _waits(said.get("blocking")), _flag(said.get("force_check"))
        checked = await contacts.check(self._webapp.ports, _numbers(said.get("contacts")), wait=wait, force=force)
        await reply({"contacts": [_shown(one) for one in checked]})(scope, receive, send)


def _shown(one: Checked) -> dict[str, str]:
    return {"input": one.input, "status": one.status} | ({"wa_id": one.wa_id} if one.wa_id else {})


def _numbers(given: Any) -> list[str]:
    if given is None:
        raise Fault(PARAMETER_MISSING, 'contacts is missing: give the numbers as a list, such as ["+1 202 555 0111"].')
    if not isinstance(given, list) or not all(isinstance(one, str) and is_text(one) for one in given):
        raise Fault(PARAMETER_INVALID, f"contacts must be a list of numbers as strings, not {shown(given)}.")
    if not given:
        raise Fault(PARAMETER_MISSING, "contacts is empty: give at least one number.")
    if len(given) > CONTACTS_AT_ONCE:
        raise Fault(TOO_MANY_CONTACTS, f"contacts has {len(given)} numbers; the limit is {CONTACTS_AT_ONCE}: ask in several requests.")
    return given


def _waits(given: Any) -> bool:
    if given not in (None, "no_wait", "wait"):  # a tuple: it may be unhashable
        raise Fault(PARAMETER_INVALID, f"blocking must be no_wait or wait, not {shown(given)}.")
    return bool(given == "wait")


def _flag(given: Any) -> bool:
    if not isinstance(given, bool | None):
        raise Fault(PARAMETER_INVALID, f"force_check must be true or false, not {shown(given)}.")
    return bool(given)
