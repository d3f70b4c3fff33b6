"""`satchel listen`: follow callbacks as they are put down, and forward them to a program that is being written."""

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import rich_click as click

from satchel.cli import say
from satchel.cli.target import client_options
from satchel.domain import quantities

if TYPE_CHECKING:
    from satchel.client import Client

KINDS = ("statuses", "messages", "media_items")


@click.command(epilog="Example: satchel listen --forward-to http://127.0.0.1:8000/hook")
@click.option("--forward-to", metavar="URL", help="POST each body there, too.")
@click.option("--events", metavar="KINDS", help="Only these: statuses, messages, media_items.")
@click.option("--after", type=int, metavar="CURSOR", help="Go on behind this one.")
@click.option("--since", metavar="TIME", help="Begin with those of the last such as 1h.")
@click.option("--until", metavar="TIME", help="End after such as 30s. [default: Ctrl-C]")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
@client_options
def listen(
    client: "Client",
    forward_to: str | None,
    events: str | None,
    after: int | None,
    since: str | None,
    until: str | None,
    as_json: bool,
) -> None:
    """Follow callbacks, also those that were put down while nobody listened: --after takes the cursor that was printed last."""
    wanted = set((events or ",".join(KINDS)).split(","))
    if not wanted <= set(KINDS):
        raise click.UsageError(f"--events takes {', '.join(KINDS)}.")
    if forward_to is not None and urlsplit(forward_to).scheme not in ("http", "https"):
        raise click.UsageError(f"--forward-to takes an address such as http://127.0.0.1:8000/hook, not {forward_to}.")
    if not as_json:
        click.echo(f"Following callbacks{f', each goes to {forward_to}' if forward_to else ''}. Ctrl-C ends it.", err=True)
    end = None if until is None else time.monotonic() + quantities.duration(until)
    while end is None or time.monotonic() < end:
        left = 20.0 if end is None else max(0.0, min(20.0, end - time.monotonic()))
        found, after = client.follow(after, since, f"{left:.3f}s")
        since = None
        for one in found:
            if wanted & set(json.loads(one["body"])):
                _tell(one, forward_to, as_json)


def _tell(one: dict[str, Any], forward_to: str | None, as_json: bool) -> None:
    result = _forwarded(one, forward_to) if forward_to else None
    if as_json:
        say.json({**one, "forwarded": result} if forward_to else one)
    else:
        click.echo(f"{one['cursor']}  {one['cause']}{f'  -> {result}' if result else ''}\n{one['body']}")


def _forwarded(one: dict[str, Any], url: str) -> str:
    """How the program answered; it is not asked again, --after repeats."""
    headers = {"Content-Type": "application/json", "webhook-id": one["shown_id"]}
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the address is the person's own, on this machine as a rule
        with direct.open(urllib.request.Request(url, one["body"].encode(), headers), timeout=15) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"no answer ({getattr(reason, 'strerror', None) or reason})"
