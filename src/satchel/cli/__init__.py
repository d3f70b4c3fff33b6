"""The command `satchel`: one file per command group, imported only when it is called."""

import difflib
import importlib
import re
from typing import Any

import rich_click as click

from satchel.cli import say

COMMANDS = {
    "dev": "satchel.cli.dev:dev",
    "serve": "satchel.cli.serve:serve",
    "migrate": "satchel.cli.migrate:migrate",
    "user": "satchel.cli.user:user",
    "token": "satchel.cli.token:token",
    "media": "satchel.cli.media:media",
    "send": "satchel.cli.send:send",
    "message": "satchel.cli.message:message",
    "sandbox": "satchel.cli.sandbox:sandbox",
    "config": "satchel.cli.config:config",
    "webhook": "satchel.cli.webhook:webhook",
    "listen": "satchel.cli.listen:listen",
    "volume": "satchel.cli.volume:volume",
    "doctor": "satchel.cli.doctor:doctor",
}


NO_SUCH = re.compile(r"No such command '([^']*)'\.")


class Lazy(click.RichGroup):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        return getattr(importlib.import_module(module), name)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nsatchel: interrupted.", err=True)
            ctx.exit(say.INTERRUPTED)
        except click.UsageError as error:
            raise click.UsageError(_helpful(error), error.ctx) from None


def _helpful(error: click.UsageError) -> str:
    """With the nearest command where there is none of that name, and in words that no programmer must have written."""
    said, ctx = error.format_message(), error.ctx
    typed = NO_SUCH.match(said)
    if ctx and isinstance(ctx.command, click.Group) and typed:
        near = difflib.get_close_matches(typed[1], ctx.command.list_commands(ctx), 1)
        return f"{said} Did you mean {near[0]}?" if near else said
    return said.replace("is not a valid integer range", "is no whole number").replace("is not a valid float range", "is no number")


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="satchel-media", prog_name="satchel")
def main() -> None:
    """A media node for integrations written against the On-Premises API, and a simulated network to try it on.

    Start with: satchel dev
    """
