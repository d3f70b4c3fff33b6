"""`satchel config`: what is set, where, and whether it can be used."""

import asyncio
import os
from pathlib import Path
from typing import Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option, node_data_dir
from satchel.domain import quantities
from satchel.settings import SECTIONS, Settings, files, load, names, secrets


@click.group()
def config() -> None:
    """The settings of this machine."""


@config.command(epilog="Example: satchel config show --origin")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@json_option
@node_data_dir
def show(origin: bool, as_json: bool, data_dir: Path) -> None:
    """Print every setting with the value that counts; of secrets only whether they are set."""
    with say.configuration_errors():
        settings = load(data_dir, os.environ)
    shown = {name: {"value": _shown(settings, name), "origin": settings.origins.get(name, "default")} for name in names()}
    if as_json:
        say.json(shown)
        return
    for name, said in shown.items():
        value = "unset" if said["value"] in (None, "") else str(said["value"])
        click.echo((f"{name:<26} {value:<26} {said['origin']}" if origin else f"{name:<26} {value}").rstrip())


@config.command(epilog="Example: satchel config check")
@node_data_dir
def check(data_dir: Path) -> None:
    """Look whether the settings can be used; exit code 3 and a sentence when not."""
    with say.configuration_errors():
        settings = load(data_dir, os.environ)
        from satchel import build
        from satchel.cli import tls

        tls.context(settings)
        if settings.database.kind == "postgres":
            asyncio.run(build.database(settings).close())  # opens no connection: only the address is read
    read = [str(path) for path in files(os.environ) if path.is_file()]
    for remark in filter(None, (*settings.remarks, settings.unknown)):
        click.echo(remark, err=True)
    click.echo(f"The settings can be used. Set: {len(settings.origins)}. Files: {', '.join(read) or 'none'}.")


def _shown(settings: Settings, name: str) -> Any:
    section, _, field = name.partition(".")
    value = getattr(getattr(settings, section), field)
    if name in secrets():
        return "set" if value else "unset"
    if name == "volume.path":
        return str(settings.volume_path)
    if unit := SECTIONS[section].__dataclass_fields__[field].metadata.get("unit"):
        return quantities.SHOWN[unit](value)
    return str(value) if isinstance(value, Path) else value
