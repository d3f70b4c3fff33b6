"""The page on the sandbox's control API: its calls, members, refusals and numbers are the code's, and its answers are what is answered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import satchel_sandbox
from satchel_sandbox import bodies, chaos
from satchel_sandbox.actions import ACTIONS, SENDING
from satchel_sandbox.control import Control
from satchel_sandbox.control_phones import PhoneControl
from satchel_sandbox.magic import MAGIC

from ..sandbox.node import listening
from ..sandbox.running import PHONE, Json, Sandbox, running

PAGE = (Path(__file__).parents[2] / "docs/reference/sandbox-control.md").read_text(encoding="utf-8")
CODE = Path(satchel_sandbox.__file__).parent
FOR_THE_NODE = {"asking", "copies", "delivery", "downloads", "network", "resending", "vault", "wire"}
"""Modules whose refusals are for the node or for who downloads: the wire's page has them."""
BODIES: dict[str, tuple[type[msgspec.Struct], set[str]]] = {
    "POST /sandbox/phones": (bodies.NewPhone, set()),
    "POST /sandbox/phones/{number}/actions": (bodies.Action, set()),
    "PUT /sandbox/clock": (bodies.ClockMove, {"rate", "frozen"}),  # known to be refused with a sentence of their own
    "PUT /sandbox/chaos": (chaos.Stage, set()),
    "POST /sandbox/seed": (bodies.Seed, set()),
}


def section(call: str) -> str:
    (text,) = re.findall(rf"^### `{re.escape(call)}`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def table(text: str, heading: str) -> list[str]:
    """The names in the first column of the table with this heading."""
    (found,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [name for row in str(found).splitlines() for name in re.findall(r"`?(\w+)`?", row.split("|")[1])]


def shown(call: str) -> Any:
    """The JSON that a section shows."""
    (found,) = re.findall(r"^```json\n(.*?)^```", section(call), re.MULTILINE | re.DOTALL)
    return json.loads(found)


def shape(value: Any) -> Any:
    """The names in it, at every depth; of a list the first."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(one) for one in value[:1]] if isinstance(value, list) else None


def calls() -> Iterator[str]:
    network: Any = SimpleNamespace(store=None)
    for route in Control(network).routes() + PhoneControl(network).routes():
        for method in (route.methods or set()) - {"HEAD"}:
            yield f"{method} {route.path.replace(':path', '')}"


def test_calls_are_those_of_the_code() -> None:
    assert sorted(re.findall(r"^### `(.*)`$", PAGE, re.MULTILINE)) == sorted(calls())


@pytest.mark.parametrize("call", BODIES)
def test_members_of_bodies_are_those_of_the_code(call: str) -> None:
    kind, unsaid = BODIES[call]
    assert set(table(section(call), "member")) == {field.encode_name for field in msgspec.structs.fields(kind)} - unsaid


def test_actions_and_numbers_are_those_of_the_code() -> None:
    assert set(table(section("POST /sandbox/phones/{number}/actions"), "action")) == {*ACTIONS, *SENDING, "forward"}
    assert table(PAGE, "number") == list(MAGIC)


def test_refusals_are_those_of_the_code() -> None:
    found: dict[str, int] = {}
    for module in CODE.glob("*.py"):
        if module.stem not in FOR_THE_NODE:
            said = re.findall(r'Refusal\(\s*(\d+), "(\w+)"', module.read_text(encoding="utf-8"))
            found |= {slug: int(status) for status, slug in said}
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", PAGE, re.MULTILINE))
    assert {slug: int(status) for slug, status in documented.items()} == found


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_answers_are_shown_as_they_are() -> None:
    async with listening() as node, running(node.url) as sandbox:
        await sandbox.deliver("m")
        await sandbox.messages()
        for call, body in {"PUT /sandbox/chaos": shown("PUT /sandbox/chaos"), "POST /sandbox/seed": {"random_seed": 7}}.items():
            assert await got(sandbox, call, json=body) == shown(call), call
        for call in re.findall(r"^### `(GET .*)`$", PAGE, re.MULTILINE):
            if "```json" in section(call):
                assert shape(await got(sandbox, call)) == shape(shown(call)), call
        await got(sandbox, "PUT /sandbox/chaos", json={})
        await sandbox.text("late", to="12025550107")
        moved = await got(sandbox, "PUT /sandbox/clock", json={"advance": "1h"})
        assert shape(moved) == shape(shown("PUT /sandbox/clock"))
        given = await got(sandbox, "POST /sandbox/phones/{number}/files", data=b"bytes")
        assert shape(given) == shape(shown("POST /sandbox/phones/{number}/files"))
        assert shape(await got(sandbox, "GET /sandbox/phones/{number}/messages/{id}/nothing")) == {"error": None, "details": None}
        assert shape(await got(sandbox, "POST /sandbox/reset")) == shape(shown("POST /sandbox/reset"))


async def got(sandbox: Sandbox, call: str, **options: Any) -> Json:
    method, path = call.replace("{number}", PHONE).replace("{id}", "latest").replace("{business}", "latest").split()
    _, answer = await sandbox.call(method, path, **options)
    return answer
