"""`satchel sandbox status|reset|clock|chaos`: the simulated network as a whole."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option, state_data_dir, with_unit
from satchel.cli.target import errors, sandbox_url
from satchel.domain.quantities import shown_count

if TYPE_CHECKING:
    from satchel.client.sandbox import Sandbox

STAGES = click.Choice(["upload", "dispatch", "download", "events"])


def sandbox_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url` and `--data-dir`, and the sandbox they lead to as its first argument."""

    @click.option("--url", metavar="URL", help="The sandbox; else SATCHEL_SANDBOX_URL, else a running satchel dev.")
    @state_data_dir
    @wraps(command)
    def wrapped(url: str | None, data_dir: Path, **given: Any) -> Any:
        from satchel.client.sandbox import Sandbox

        found = sandbox_url(url, data_dir)
        with errors():
            return command(Sandbox(found), **given)

    return wrapped


@click.command(epilog="Example: satchel sandbox status")
@json_option
@sandbox_options
def status(network: "Sandbox", as_json: bool) -> None:
    """Show the network: its world and time, phones, messages, and what waits."""
    said = network.status()
    if as_json:
        say.json(said)
        return
    click.echo(f"world {said['world']}  {_time(said)}")
    held = f"{shown_count(said['phones'], 'phone')}  {shown_count(said['messages'], 'message')} on them"
    click.echo(f"{held}  {said['waiting']} wait for a phone")
    click.echo(f"{said['events_waiting']} upstream events wait for the node  chaos: {', '.join(said['chaos']) or 'off'}")


@click.command(epilog="Example: satchel sandbox reset")
@json_option
@sandbox_options
def reset(network: "Sandbox", as_json: bool) -> None:
    """Forget everything: phones, messages, media, the moved clock and chaos. Messages on their way end as failed when their turn comes."""
    said = network.reset()
    say.json(said) if as_json else click.echo(f"New world: {said['world']}")


@click.group()
def clock() -> None:
    """Network time, which can be moved forward."""


@clock.command(epilog="Example: satchel sandbox clock show")
@json_option
@sandbox_options
def show(network: "Sandbox", as_json: bool) -> None:
    """Show network time."""
    said = network.clock()
    say.json(said) if as_json else click.echo(_time(said))


@clock.command(epilog="Example: satchel sandbox clock advance 15d")
@click.argument("duration", callback=with_unit)
@json_option
@sandbox_options
def advance(network: "Sandbox", duration: str, as_json: bool) -> None:
    """Move network time forward (90s, 15m, 14d). Ends when everything due by then has happened and the node knows."""
    said = network.advance(duration)
    if as_json:
        say.json(said)
        return
    for one in said["ran"]:
        click.echo(f"{one['at']}  {one['step']}  {one['phone']}  {one['message']}")
    click.echo(_time(said))


@click.group()
def chaos() -> None:
    """Faults on demand."""


@chaos.command("show", epilog="Example: satchel sandbox chaos show")
@json_option
@sandbox_options
def show_chaos(network: "Sandbox", as_json: bool) -> None:
    """Show which stages fail or are slow."""
    _tell(network.chaos(), as_json)


@chaos.command("set", epilog="Example: satchel sandbox chaos set upload --fail 0.1 --code 503 --delay 2s")
@click.argument("stage", type=STAGES, metavar="STAGE")
@click.option("--fail", type=click.FloatRange(0, 1), metavar="SHARE", help="How much of it fails, 0 to 1; nothing unless given.")
@click.option("--code", type=click.IntRange(400, 599), metavar="STATUS", help="HTTP status of what fails; 503 unless given.")
@click.option("--delay", metavar="TIME", callback=with_unit, help="Wait so long (500ms, 2s) before everything at this stage.")
@click.option("--seed", type=click.IntRange(0), metavar="NUMBER", help="The same number makes the same ones fail.")
@json_option
@sandbox_options
def set_chaos(
    network: "Sandbox", stage: str, fail: float | None, code: int | None, delay: str | None, seed: int | None, as_json: bool
) -> None:
    """Let a stage (upload, dispatch, download or events) fail or be slow; the other stages stay as they are."""
    given = {"fail": fail, "code": code, "delay": delay}
    stages = network.set_chaos({**network.chaos(), stage: {name: value for name, value in given.items() if value is not None}})
    if seed is not None:
        network.seed(seed)
    _tell(stages, as_json)


@chaos.command(epilog="Example: satchel sandbox chaos off")
@json_option
@sandbox_options
def off(network: "Sandbox", as_json: bool) -> None:
    """End all chaos."""
    _tell(network.set_chaos({}), as_json)


def _tell(stages: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say.json(stages)
        return
    for name, stage in stages.items():
        click.echo("  ".join([name, *(f"{what} {value}" for what, value in stage.items())]))
    if not stages:
        click.echo("off")


def _time(said: dict[str, Any]) -> str:
    ahead = f"  {said['offset'] / 86400:g} days ahead" if said["offset"] else ""
    return f"{said['now']}{ahead}"
