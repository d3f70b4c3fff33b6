"""Which numbers are on the network: asked once a week, all those of a request at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from satchel.db import contacts as rows
from satchel.domain.errors import Fault, Later
from satchel.domain.numbers import wa_id
from satchel.flows import Ports
from satchel.upstream import Contacts


@dataclass(frozen=True)
class Checked:
    """`input`: as it was given; `wa_id`: None unless the status is valid."""

    input: str
    status: Literal["valid", "invalid", "processing", "failed"]
    wa_id: str | None = None


async def check(ports: Ports, inputs: Sequence[str], *, wait: bool, force: bool) -> list[Checked]:
    """Look numbers up, in the order given. `force`: ask the network even for those it was asked about lately.

    While the network does not answer, what nobody knows yet is `processing`, and `failed` for a caller who would wait.
    """
    digits = {given: _digits(given) for given in inputs}
    numbers = sorted({number for number in digits.values() if number is not None})
    known = {} if force else await ports.db.read(lambda tx: rows.known(tx, numbers))
    known |= await _asked(ports, [number for number in numbers if number not in known])
    return [_checked(given, digits[given], known, wait) for given in inputs]


async def _asked(ports: Ports, numbers: list[str]) -> dict[str, bool]:
    """What the network says; nothing while it does not. A network that cannot be asked takes every number."""
    if not numbers or not isinstance(ports.upstream, Contacts):
        return dict.fromkeys(numbers, True)
    try:
        states = dict(zip(numbers, await ports.upstream.on_network(numbers), strict=True))
    except Later:
        return {}
    await ports.db.write(lambda tx: rows.learn(tx, states))
    return states


def _checked(given: str, number: str | None, known: dict[str, bool], wait: bool) -> Checked:
    if number is None or known.get(number) is False:
        return Checked(given, "invalid")
    if number in known:
        return Checked(given, "valid", number)
    return Checked(given, "failed" if wait else "processing")


def _digits(given: str) -> str | None:
    try:
        return wa_id(given)
    except Fault:
        return None
