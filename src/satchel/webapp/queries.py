"""Query parameters of lists: each known, given once, checked, and named in every complaint."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import QueryParams

from satchel.domain.errors import PARAMETER_INVALID, Fault

LIMIT, MOST = 100, 1000


def read(asked: QueryParams, known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """What was given. Raises `Fault(PARAMETER_INVALID)`."""
    values: dict[str, Any] = {}
    for name, text in asked.multi_items():
        if name not in known:
            raise Fault(PARAMETER_INVALID, f"The parameter {name[:40]} is unknown: a list takes {', '.join(known)}.")
        if name in values:
            raise Fault(PARAMETER_INVALID, f"The parameter {name} is given twice: give it once.")
        values[name] = known[name](text)
    return values


def limit(text: str) -> int:
    """How many a page has at the most."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise Fault(PARAMETER_INVALID, f"The parameter limit is {text[:40]!r}: it must be a number from 1 to {MOST}.")
    return int(text)


def place(text: str) -> int:
    """The number of something in its order."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Fault(PARAMETER_INVALID, f"The parameter before is {text[:40]!r}: it must be the cursor of one that was listed.")
    return int(text)


def one_of(name: str, known: tuple[str, ...]) -> Callable[[str], str]:
    """A parameter that takes a few words."""

    def read_one(text: str) -> str:
        if text not in known:
            raise Fault(PARAMETER_INVALID, f"The parameter {name} is {text[:40]!r}: it must be one of {', '.join(known)}.")
        return text

    return read_one
