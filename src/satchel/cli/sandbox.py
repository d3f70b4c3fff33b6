"""`satchel sandbox`: the simulated network; and what its phones have received."""

from pathlib import Path
from typing import Any

import rich_click as click

from satchel.cli import sandbox_network, sandbox_phones, say
from satchel.cli.options import json_option, state_data_dir
from satchel.cli.target import sandbox_url
from satchel.domain.quantities import shown_bytes


@click.group()
def sandbox() -> None:
    """The simulated network: its phones, its clock, and what goes wrong in it."""


for command in (sandbox_network.status, sandbox_network.reset, sandbox_network.clock, sandbox_network.chaos):
    sandbox.add_command(command)


@sandbox.group()
def phone() -> None:
    """Simulated phones."""


for command in sandbox_phones.COMMANDS:
    phone.add_command(command)


@phone.command(epilog="Example: satchel sandbox phone show 12025550111 --after gBEGkZ2v --wait 10s")
@click.argument("number")
@click.option("--url", metavar="URL", help="The sandbox; else SATCHEL_SANDBOX_URL, else a running satchel dev.")
@state_data_dir
@click.option("--wait", metavar="TIME", help="Wait so long (10s, 2m) for the newest message and its media to arrive.")
@click.option("--after", metavar="ID", help="Only messages that came after this one, whose id --quiet prints.")
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but the message ids.")
def show(number: str, url: str | None, data_dir: Path, wait: str | None, after: str | None, as_json: bool, quiet: bool) -> None:
    """Show what a phone has received, the oldest first. Exit code 9 when --wait waited in vain; what is there is shown all the same."""
    said = _messages(sandbox_url(url, data_dir), number, wait, after)
    if as_json:
        say.json(said)
    for message in [] if as_json else said["messages"]:
        click.echo(message["id"] if quiet else line(message))
    if wait and (missed := lacking(number, said["messages"], after)):
        say.stop(
            f"{missed} within {wait}: satchel doctor looks for the cause, or it ended failed: see its callback, or the node's log.",
            say.TIMED_OUT,
        )
    if not said["messages"] and not quiet and not as_json:
        click.echo(f"{number} has received nothing{_later_than(after)} yet.", err=True)


def lacking(number: str, messages: list[dict[str, Any]], after: str | None = None) -> str:
    """What a wait did not bring. Media that the phone could not fetch has come to its end, too."""
    if not messages:
        return f"{number} received nothing{_later_than(after)}"
    on_its_way = messages[-1].get("media", {}).get("state") not in {None, "not_downloaded", "downloaded", "unavailable"}
    return f"The media of {messages[-1]['id']} did not arrive" if on_its_way else ""


def _later_than(after: str | None) -> str:
    return f" after {after}" if after else ""


def line(message: dict[str, Any]) -> str:
    """One message in one line."""
    media = message.get("media")
    template = message.get("template") or {}
    what = " ".join((message.get("text") or "").split()) or template.get("name") or message.get("caption") or message.get("filename") or ""
    size = f"{media['mime_type']}  {shown_bytes(media['size'])}  {media['state']}" if media else ""
    return "  ".join(part for part in (message["at"], message["type"], what, size, message["id"]) if part)


def _messages(base: str, number: str, wait: str | None, after: str | None) -> dict[str, Any]:
    import json
    from urllib.parse import quote, urlencode

    from satchel.client.connection import Unreachable, fetch

    asked = urlencode({name: value for name, value in (("wait", wait), ("after", after)) if value})
    try:
        status, body = fetch(base, f"/sandbox/phones/{quote(number, safe='')}/messages?{asked}")
        said: dict[str, Any] = json.loads(body)
    except (Unreachable, ValueError) as error:
        told = str(error) if isinstance(error, Unreachable) else f"What answers at {base} is no sandbox."
        say.stop(f"{told} The sandbox comes with satchel dev.", say.UNREACHABLE)
    if status != 200:
        say.stop(str(said.get("details", status)), say.NOT_FOUND if status == 404 else say.USAGE)
    return said
