"""`satchel sandbox phone show`: what a phone shows of its conversation, drawn, as JSON, or as ids. How it is drawn: `drawing.py`."""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option, state_data_dir, with_unit
from satchel.cli.target import in_commands, sandbox_url

Said = dict[str, Any]


@click.command(epilog="Example: satchel sandbox phone show 12025550111 --after gBEGkZ2v --wait 10s")
@click.argument("number")
@click.option("--url", metavar="URL", help="The sandbox; else SATCHEL_SANDBOX_URL, else a running satchel dev.")
@state_data_dir
@click.option("--as", "system", type=click.Choice(["android", "iphone"]), help="As this system would show it; else as its own does.")
@click.option("--business", metavar="NUMBER", default="latest", show_default=True, help="The conversation with whom.")
@click.option("--wait", metavar="TIME", callback=with_unit, help="Wait so long (10s, 2m) for the newest message and its media to arrive.")
@click.option("--after", metavar="ID", help="Only messages that came after this one, whose id --quiet prints.")
@click.option("--why", is_flag=True, help="Say of everything why it is shown as it is.")
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but the message ids.")
def show(
    number: str,
    url: str | None,
    data_dir: Path,
    system: str | None,
    business: str,
    wait: str | None,
    after: str | None,
    why: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show a phone's conversation as its owner would see it, without opening it: albums, captions, dates, the unread divider.

    Exit code 9 when --wait waited in vain; what is there is shown all the same.
    """
    base = sandbox_url(url, data_dir)
    messages = _asked(base, number, "messages", wait=wait, after=after)["messages"]
    if quiet:
        click.echo("".join(f"{message['id']}\n" for message in messages), nl=False)
    else:
        seen = _blocks(base, number, business, system)
        told = {**seen, "blocks": only(seen["blocks"], {message["id"] for message in messages}) if after else seen["blocks"]}
        say.json(told) if as_json else _draw(told, why)
    if wait and (missed := lacking(number, messages, after)):
        say.stop(
            f"{missed} within {wait}: satchel doctor looks for the cause, or it ended failed: see its callback, or the node's log.",
            say.TIMED_OUT,
        )
    if not messages and not quiet and not as_json:
        click.echo(f"{number} has received nothing{_later_than(after)} yet.", err=True)


def only(blocks: list[Said], ids: set[str]) -> list[Said]:
    """The blocks that hold one of these messages, an album whole, each with the date and the divider that stand above it."""
    kept: list[Said] = []
    above: dict[str, Said] = {}
    for block in blocks:
        if block["kind"] in ("date", "unread"):
            above[block["kind"]] = block
            continue
        if ids & {item["id"] for item in block.get("items", [block])}:
            kept += [*above.values(), block]
            above.clear()
        above.pop("unread", None)
    return kept


def lacking(number: str, messages: list[Said], after: str | None = None) -> str:
    """What a wait did not bring. Media that the phone could not fetch has come to its end, too."""
    if not messages:
        return f"{number} received nothing{_later_than(after)}"
    on_its_way = (messages[-1].get("media") or {}).get("state") not in {None, "not_downloaded", "downloaded", "unavailable"}
    return f"The media of {messages[-1]['id']} did not arrive" if on_its_way else ""


def _later_than(after: str | None) -> str:
    return f" after {after}" if after else ""


def _draw(told: Said, why: bool) -> None:
    """Nothing is imported for a phone that has received nothing."""
    if told["blocks"]:
        from rich.console import Console

        from satchel.cli.drawing import draw

        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode shows question marks, and no traceback
        draw(told, Console(highlight=False, markup=False, emoji=False), why)


def _blocks(base: str, number: str, business: str, system: str | None) -> Said:
    """The conversation; an empty one where nobody has written yet."""
    from urllib.parse import quote

    path = f"conversations/{quote(business, safe='')}/blocks"
    return _asked(base, number, path, missing="unknown_conversation" if business == "latest" else "", **{"as": system})


def _asked(base: str, number: str, path: str, missing: str = "", **query: str | None) -> Said:
    """An answer of the sandbox about a phone; `missing`: the refusal that means that there are no blocks."""
    import json
    from urllib.parse import quote, urlencode

    from satchel.client.connection import Unreachable, fetch

    asked = urlencode({name: value for name, value in query.items() if value})
    try:
        status, body = fetch(base, f"/sandbox/phones/{quote(number, safe='')}/{path}?{asked}")
        said: Said = json.loads(body)
    except (Unreachable, ValueError) as error:
        told = str(error) if isinstance(error, Unreachable) else f"What answers at {base} is no sandbox."
        say.stop(f"{told} The sandbox comes with satchel dev.", say.UNREACHABLE)
    if missing and said.get("error") == missing:
        return {"view": 1, "blocks": []}
    if status != 200 and "error" not in said:
        say.stop(f"What answers at {base} is no sandbox. The sandbox comes with satchel dev, at a port of its own.", say.UNREACHABLE)
    if status != 200:
        say.stop(in_commands(str(said.get("details", status))), say.NOT_FOUND if status == 404 else say.USAGE)
    return said
