"""`satchel sandbox`: look at the simulated network."""

from pathlib import Path
from typing import Any

import rich_click as click

from satchel.cli import say
from satchel.cli.state import DATA_DIR
from satchel.cli.target import errors, sandbox_url


@click.group()
def sandbox() -> None:
    """The simulated network: its phones."""


@sandbox.group()
def phone() -> None:
    """Simulated phones."""


@phone.command(epilog="Example: satchel sandbox phone show 12025550111 --wait 10s")
@click.argument("number")
@click.option("--url", metavar="URL", help="The sandbox; else SATCHEL_SANDBOX_URL, else a running satchel dev.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True, help="Where satchel dev keeps its state file."
)
@click.option("--wait", metavar="TIME", help="Wait so long (10s, 2m) for the newest message and its media to arrive.")
@click.option("--json", "as_json", is_flag=True, help="Print what the sandbox answers.")
@click.option("--quiet", is_flag=True, help="Print nothing but the message ids.")
def show(number: str, url: str | None, data_dir: Path, wait: str | None, as_json: bool, quiet: bool) -> None:
    """Show what a phone has received, the oldest first."""
    import json

    said = _messages(sandbox_url(url, data_dir), number, wait)
    if as_json:
        click.echo(json.dumps(said, ensure_ascii=False, indent=2))
        return
    for message in said["messages"]:
        click.echo(message["id"] if quiet else line(message))
    if not said["messages"] and not quiet:
        click.echo(f"{number} has received nothing yet.", err=True)


def line(message: dict[str, Any]) -> str:
    """One message in one line."""
    media = message.get("media")
    what = message.get("caption") or message.get("filename") or ""
    size = f"{media['mime_type']}  {media['size']} bytes  {media['state']}" if media else ""
    return "  ".join(part for part in (message["at"], message["type"], what, size, message["id"]) if part)


def _messages(base: str, number: str, wait: str | None) -> dict[str, Any]:
    import json
    from http.client import HTTPException
    from urllib.parse import quote

    from satchel.client import connect

    with errors():
        connection, prefix = connect(base)
    try:
        waiting = f"?wait={quote(wait, safe='')}" if wait else ""
        connection.request("GET", f"{prefix}/sandbox/phones/{quote(number, safe='')}/messages{waiting}")
        answer = connection.getresponse()
        said: dict[str, Any] = json.loads(answer.read())
    except (OSError, HTTPException, ValueError) as error:
        say.stop(f"The sandbox at {base} does not answer as it should ({type(error).__name__}): is satchel dev running?", say.UNREACHABLE)
    finally:
        connection.close()
    if answer.status != 200:
        say.stop(str(said.get("details", answer.status)), say.USAGE)
    return said
