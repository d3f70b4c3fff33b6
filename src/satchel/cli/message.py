"""`satchel message`: what was sent, what became of each message step by step, and trying a failed one again."""

import json
import time
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option
from satchel.cli.target import client_options, failure_of

if TYPE_CHECKING:
    from satchel.client import Client

LOOK = 0.2
"""Seconds between two looks at a message that is followed."""
PAGE = 1000
ENDS = ("read", "failed")
MARKS = {"ok": " ", "later": "~", "failed": "x"}


@click.group()
def message() -> None:
    """Messages that were sent, and their timelines."""


@message.command(epilog="Example: satchel message ls --failed")
@click.option("--failed", is_flag=True, help="Only those that ended failed.")
@click.option("--to", metavar="NUMBER", help="Only those to this number.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="At the most so many.")
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but the ids.")
@client_options
def ls(client: "Client", failed: bool, to: str | None, limit: int, as_json: bool, quiet: bool) -> None:
    """List messages, the newest first."""
    filters = ({"state": "failed"} if failed else {}) | ({} if to is None else {"to": to})
    found = _each(client.messages(min(limit + 1, PAGE), **filters))
    shown = islice(found, limit)
    if as_json:
        say.json({"messages": list(shown)})
        return
    for one in shown:
        click.echo(one["id"] if quiet else line(one))
    if not quiet and next(found, None):
        click.echo("There are more: --limit shows them.", err=True)


@message.command(epilog="Example: satchel message show gBEGkZ2vQm1tXo5yTn0cLr8uWd3e --follow")
@click.argument("message_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Print further steps as they come, until the message is read or failed.")
@json_option
@client_options
def show(client: "Client", message_id: str, follow: bool, as_json: bool) -> None:
    """Show a message, its steps and its callbacks. A step marked ~ is tried again, one marked x failed.

    With --follow and --json each step is a line of JSON.
    """
    one = client.message(message_id)
    if follow:
        _follow(client, one, as_json)
    elif as_json:
        say.json(one)
    else:
        held = [f"  {said}"] if (said := _held(one)) else []
        told = (_callback_line(told, one["id"]) for told in one["callbacks"])
        click.echo("\n".join(chain([line(one)], held, map(step_line, one["steps"]), told)))


@message.command(epilog="Example: satchel message retry gBEGkZ2vQm1tXo5yTn0cLr8uWd3e")
@click.argument("message_id", metavar="ID")
@json_option
@client_options
def retry(client: "Client", message_id: str, as_json: bool) -> None:
    """Send a message again that failed before the network had it, under its id, and print that."""
    again = client.retry(message_id)
    if as_json:
        say.json(again)
    else:
        click.echo(again["id"])


def line(one: dict[str, Any]) -> str:
    """A message in one line."""
    fault = one["fault"]
    parts = (one["id"], one["accepted_at"], f"{one['state']:9}", one["to"], f"{one['type']:8}", one["media_id"], one["link"])
    return "  ".join(part for part in (*parts, f"{fault['code']}: {fault['details']}" if fault else "") if part).rstrip()


def step_line(step: dict[str, Any]) -> str:
    """A step in one line: when, what, how long, where, why not."""
    took = f"{step['ms']:,.1f} ms" if step["ms"] else ""
    attempt = f"attempt {step['attempt']}" if step["attempt"] > 1 else ""
    told = "  ".join(part for part in (step["host"], attempt, step["reason"] or "") if part)
    return f"  {step['at'][11:23]}  {MARKS.get(step['outcome'], '?')} {step['step']:16} {took:>12}  {told}"


def wait(client: "Client", message_id: str, wanted: str, seconds: float) -> dict[str, Any]:
    """Look at a message until it has come so far or failed, or the time is over."""
    until = time.monotonic() + seconds
    while True:
        one = client.message(message_id)
        if reached(one, wanted) or one["state"] == "failed" or time.monotonic() >= until:
            return one
        time.sleep(min(LOOK, max(0.0, until - time.monotonic())))


def reached(one: dict[str, Any], wanted: str) -> bool:
    """Whether a message has come so far, whatever became of it later."""
    from satchel.domain.statuses import ORDER

    return any(ORDER[wanted] <= ORDER[known["status"]] < ORDER["failed"] for known in one["statuses"])


def end_unless(one: dict[str, Any], wanted: str, timeout: str) -> None:
    """Say why a wait did not bring what was wanted, and end."""
    if reached(one, wanted):
        return
    if one["state"] == "failed":
        fault = one["fault"] or {"code": 1000, "title": "Generic error", "details": "the network refused it and gave no reason."}
        sentence = f"The message {one['id']} failed (code {fault['code']}): {fault['details']}"
        say.fail([say.Failure(sentence, say.REFUSED, (fault["code"], fault["title"], fault["details"]))], say.REFUSED)
    last = next((f"Last: {step['reason']}" for step in reversed(one["steps"]) if step["reason"]), "")
    reason = _held(one) or last
    told = f"The message {one['id']} was not {wanted} within {timeout}, it is {one['state']}.{reason and f' {reason}'}"
    say.stop(f"{told} Follow it with satchel message show {one['id']} --follow", say.TIMED_OUT)


def _held(one: dict[str, Any]) -> str:
    """What a waiting message waits for, where that is known."""
    if one["behind"]:
        return f"It waits behind {one['behind']}."
    return f"Last: {one['why']}" if one["why"] else ""


def _follow(client: "Client", one: dict[str, Any], as_json: bool) -> None:
    """Steps come in the order in which they are written: those of an attempt all at once, when it has ended."""
    told = set[str]()
    if not as_json:
        click.echo(line(one))
    while True:
        for step in one["steps"]:
            if (key := json.dumps(step)) not in told:
                told.add(key)
                say.json(step) if as_json else click.echo(step_line(step))
        if one["state"] in ENDS:
            return
        time.sleep(LOOK)
        one = client.message(one["id"])


def _callback_line(one: dict[str, Any], message_id: str) -> str:
    last = one["attempts"][-1] if one["attempts"] else None
    tried = f"{last['result']} in {last['ms']} ms  attempt {last['n']}" if last else ""
    due = f"again in {one['due_in']:.0f} s" if one["due_in"] and one["due_in"] > 0 else ""
    about = one["cause"].partition(f"{message_id}:")[2].partition(":")[0]
    parts = (f"  {one['created_at'][11:23]}    callback {about:9}", f"{one['state']:7}", one["id"], tried, due)
    return "  ".join(part for part in parts if part)


def _each(pages: Iterator[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Message by message. A filter that the node refuses is wrong usage."""
    from satchel.client import ClientError

    try:
        yield from chain.from_iterable(pages)
    except ClientError as error:
        failure = failure_of(error)
        say.fail([failure], say.USAGE if error.status == 400 else failure.exit_code)
