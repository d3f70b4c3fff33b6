"""Comparing an answer with what a case wants: strings with holes, JSON with holes in it."""

import json
import re
from typing import Any

HOLE = re.compile(r"<([a-z0-9]+)(?: as (\w+))?>")
HOLES = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00",
    "token": r"[\w-]+\.[\w-]+\.[\w-]+",
    "sha256": r"[0-9a-f]{64}",
    "text": r"(?s:.+)",
    "any": r"(?s:.*)",
    "meta": r"(?!)",
    "absent": r"(?!)",
}
"""`any` as a whole JSON value is any value, `meta` the object of that name; `absent` is for headers that must not come."""
META = {"version": re.compile(r"v\d+\.\d+\.\d+"), "api_status": re.compile(r"stable|experimental|deprecated")}
OTHERS = "..."
"""A member of this name lets further members pass."""


def differs(wanted: str, found: str, captured: dict[str, str]) -> str:
    """What is wrong with a string, "" if nothing. Adds to `captured` what the holes that have a name held."""
    pattern, names, at = "", [], 0
    for hole in HOLE.finditer(wanted):
        pattern += re.escape(wanted[at : hole.start()]) + f"({HOLES[hole[1]]})"
        names.append(hole[2])
        at = hole.end()
    match = re.fullmatch(pattern + re.escape(wanted[at:]), found)
    if match is None:
        return f"wanted {wanted[:400]!r}, found {found[:400]!r}"
    captured.update({name: value for name, value in zip(names, match.groups(), strict=True) if name})
    return ""


def body_differs(wanted: str, found: bytes, captured: dict[str, str]) -> str:
    """The same for a body: JSON where JSON is wanted, else bytes; "" wants none."""
    if wanted.startswith(("{", "[")):
        try:
            return json_differs(json.loads(wanted), json.loads(found), captured)
        except ValueError:
            return f"wanted JSON, found {found[:400]!r}"
    return differs(wanted, found.decode("latin-1"), captured)


def json_differs(wanted: Any, found: Any, captured: dict[str, str], at: str = "body") -> str:
    """The same for parsed JSON. `at`: the way to here."""
    if wanted == "<any>":
        return ""
    if wanted == "<meta>":
        fine = isinstance(found, dict) and all(pattern.fullmatch(str(found.get(name))) for name, pattern in META.items())
        return "" if fine else f"{at}: wanted version and api_status, found {found!r}"
    if isinstance(wanted, dict) and isinstance(found, dict):
        return _members_differ(wanted, found, captured, at)
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return "; ".join(filter(None, (json_differs(*pair, captured, f"{at}[{index}]") for index, pair in pairs)))
    if isinstance(wanted, str) and isinstance(found, str):
        said = differs(wanted, found, captured)
        return said and f"{at}: {said}"
    return "" if type(wanted) is type(found) and wanted == found else f"{at}: wanted {wanted!r}, found {found!r}"


def _members_differ(wanted: dict[str, Any], found: dict[str, Any], captured: dict[str, str], at: str) -> str:
    names = set(wanted) - {OTHERS}
    said = [json_differs(wanted[name], found[name], captured, f"{at}.{name}") for name in sorted(names & set(found))]
    said += [f"{at}.{name} is missing" for name in sorted(names - set(found))]
    if OTHERS not in wanted:
        said += [f"{at}.{name} is not wanted: {found[name]!r}" for name in sorted(set(found) - names)]
    return "; ".join(filter(None, said))
