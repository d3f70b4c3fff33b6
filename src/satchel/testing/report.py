"""What a failed test tells: the phones' chats, the last step of each message, the callbacks, and what nearly fitted."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satchel.client import SatchelError
from satchel.testing.draw import draw

if TYPE_CHECKING:
    from satchel.testing.receiver import Callback
    from satchel.testing.world import World

Json = dict[str, Any]


class WaitedInVain(AssertionError):
    """What a test expected did not come; the report is in its text."""


def message_in_vain(world: "World", number: str, type_: str | None, text: str | None, timeout: float) -> WaitedInVain:
    """For a message that no phone got."""
    what = f"{_a(type_ or 'message')}{f' with {text!r} in it' if text else ''}"
    lines = [f"{what[0].upper()}{what[1:]} did not reach {number} within {timeout:g} s.", *_near_misses(world, number, type_ or "message")]
    return _with(world, lines)


def webhook_in_vain(world: "World", kind: str, fields: Json, timeout: float, came: "Sequence[Callback]") -> WaitedInVain:
    """For a callback that did not come."""
    wanted = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    lines = [f"No callback with {kind} ({wanted or 'any'}) came within {timeout:g} s."]
    lines += [f"  near miss: {json.dumps(one.json, ensure_ascii=False)[:300]}" for one in came]
    if fields.get("status") in ("sent", "delivered", "read") and not _announced(world, str(fields["status"])):
        lines.append(f"  {fields['status']} is not announced: set webhooks.message.{fields['status']} of the application settings.")
    return _with(world, lines)


def chat_differs(world: "World", number: str, wanted: Sequence[object], shown: Sequence[Json]) -> WaitedInVain:
    """For a chat that looks different."""
    drawn = [f"  {line}" for line in draw(shown, why=True)]
    return _with(world, [f"The chat on {number} is not what was expected: {list(wanted)}. It shows:", *drawn])


def whole(world: "World") -> str:
    """Everything, for a test that failed for a reason of its own."""
    return "\n".join(_all(world))


def artifacts(world: "World", folder: Path, test: str) -> list[Path]:
    """The same as files for programs, in a folder of the test's name; their paths."""
    into = folder / re.sub(r"[^\w.\-]+", "_", test)
    into.mkdir(parents=True, exist_ok=True)
    messages = [world.node.messages.get(one["id"]).info() for one in sent(world)]
    heard = [{"at": _utc(one.at), "json": one.json} for one in world.webhooks]
    timeline = {"test": test, "started": _utc(world.started), "messages": messages, "callbacks": callbacks(world), "webhooks": heard}
    shown = {"view": 1, "phones": [{**phone, "blocks": world.sandbox.newest_blocks(phone["number"])} for phone in world.sandbox.phones()]}
    return [_written(into / "timeline.json", timeline), _written(into / "blocks.json", shown)]


def sent(world: "World") -> list[Json]:
    """What was sent in this world, the oldest first."""
    began = _utc(world.started)
    return list(takewhile(lambda one: one["accepted_at"] >= began, world.node.messages.list()))[::-1]


def callbacks(world: "World") -> list[Json]:
    """What the node had to tell in this world, the oldest first, each with its attempts."""
    began = _utc(world.started)
    found = [one for one in world.node.webhooks.list() if one["created_at"] >= began]
    return [world.node.webhooks.get(one["id"]) for one in reversed(found)]


def _with(world: "World", lines: list[str]) -> WaitedInVain:
    try:
        lines += _all(world)
    except SatchelError as error:
        lines.append(f"Nothing more can be told: {error}")
    return WaitedInVain("\n".join(lines))


def _all(world: "World") -> Iterator[str]:
    for phone in world.sandbox.phones():
        state = "online" if phone["online"] else "offline"
        yield f"Phone {phone['number']} ({phone['system']}, {phone['timezone']}, {state}, {phone['waiting']} waiting on the server) shows:"
        yield from (f"  {line}" for line in draw(world.sandbox.newest_blocks(phone["number"])))
    messages = sent(world)
    yield "Messages and the last step of each:" if messages else "No message was sent in this test."
    yield from (f"  {_last_step(world, one)}" for one in messages)
    told = callbacks(world)
    yield "Callbacks:" if told else "No callback was made in this test."
    yield from (f"  {_callback(one)}" for one in told)


def _last_step(world: "World", message: Json) -> str:
    info = world.node.messages.get(message["id"]).info()
    last: Json = info["steps"][-1] if info["steps"] else {"step": "none", "outcome": "", "reason": None}
    again = f", attempt {last['attempt']}" if (last.get("attempt") or 1) > 1 else ""
    reason = last["reason"] or (info["fault"] or {}).get("details") or info["why"]
    outcome = last["outcome"] if last["outcome"] not in ("ok", last["step"]) else ""
    said = f"{last['step']} {outcome}".strip()
    return f"{info['type']} to {info['to']}: {info['state']}; last step {said}{again}{f': {reason}' if reason else ''}   {info['id']}"


def _callback(told: Json) -> str:
    tries = ", ".join(f"{one['result']} in {one['ms']} ms" for one in told["attempts"]) or "not tried"
    return f"{told['cause']}: {told['state']} ({tries})"


def _near_misses(world: "World", number: str, wanted: str) -> Iterator[str]:
    for one in [one for one in world.sandbox.messages(number) if not one.get("mine")]:
        state = f", {one['media']['state']}" if one["media"] else ""
        said = one.get("text") or one["caption"] or one["filename"]
        came = f"{_a(one['type'])} arrived{f' ({said!r}{state})' if said else state}"
        yield f"  near miss: {came}, you waited for {_a(wanted)}."
    for one in sent(world):
        if one["to"] != number and one["type"] == wanted:
            yield f"  near miss: {_a(wanted)} was sent to {one['to']}, you waited at {number}."


def _announced(world: "World", status: str) -> bool:
    return bool(world.node.settings.get()["webhooks"]["message"][status])


def _written(path: Path, content: Json) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
