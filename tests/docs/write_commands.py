"""Writes docs/reference/commands.md from the commands themselves: `python -m tests.docs.write_commands`.

Only the page's introduction is written by hand.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from satchel.cli import main, say

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
FIRST = "## satchel "


def commands(command: Any = main, path: tuple[str, ...] = ("satchel",)) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups left out."""
    context = click.Context(command)
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


def page(introduction: str) -> str:
    """The whole page."""
    sections = [section(name, command) for name, command in commands()]
    return "\n".join([introduction.rstrip() + "\n", *sections, exit_codes()])


def introduction() -> str:
    """What stands before the first command."""
    return PAGE.read_text(encoding="utf-8").partition(FIRST)[0]


def section(name: str, command: Any) -> str:
    arguments = " ".join(param.make_metavar(click.Context(command)) for param in command.params if isinstance(param, click.Argument))
    options = [_option(param) for param in command.params if isinstance(param, click.Option) and not param.hidden]
    parts = [
        f"## {name}\n",
        f"{' '.join((command.help or '').split())}\n",
        *([f"Takes `{arguments}`.\n"] if arguments else []),
        *(["\n".join(options) + "\n"] if options else []),
        f"    {command.epilog.removeprefix('Example: ')}\n",
    ]
    return "\n".join(parts)


def exit_codes() -> str:
    rows = [f"| {code} | {meaning} |" for code, meaning in say.EXIT_CODES.items()]
    return "\n".join(["## Exit codes\n", "| code | meaning |", "|---|---|", *rows, ""])


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag else f" `{_metavar(option)}`"
    default = f" Default: `{option.default}`." if option.show_default and option.default is not None else ""
    return f"- {names}{takes}: {option.help}{default}"


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.IntRange) and not option.metavar:
        return "NUMBER"
    return option.make_metavar(click.Context(click.Command("any"))).replace("|", " or ").strip("[]")


if __name__ == "__main__":
    PAGE.write_text(page(introduction()), encoding="utf-8")
