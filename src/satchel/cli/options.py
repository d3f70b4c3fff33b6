"""Options that several commands share. Imports nothing heavy: client commands have them, too."""

from pathlib import Path

import rich_click as click

from satchel.cli.state import DATA_DIR

NODE = "The node's data directory: SQLite database, locks and, unless set, the volume."
STATE = "Where satchel dev keeps its state file."

node_data_dir, state_data_dir = (
    click.option("--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True, help=help) for help in (NODE, STATE)
)


def with_unit(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """A time as it was written; a bare number is refused, as in the settings: nobody could tell seconds from days."""
    if given and given.isdecimal():
        raise click.BadParameter(f"{given} of what? Write {given}s, {given}m, {given}h or {given}d.")
    return given


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
