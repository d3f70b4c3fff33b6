"""`satchel token`: tokens made and ended by hand."""

import rich_click as click

from satchel.cli import say
from satchel.cli.node import LocalNode, node_options
from satchel.db import Database
from satchel.domain import quantities
from satchel.domain.limits import TOKEN_LIFE, TOKEN_LONGEST
from satchel.flows import tokens, users


@click.group()
def token() -> None:
    """Tokens of the node. They are signed and not kept, so there is no list of them."""


@token.command(epilog="Example: satchel token new --user shop --ttl 90d")
@click.option("--user", "name", required=True, metavar="NAME", help="Whose token.")
@click.option("--ttl", default="7d", show_default=True, metavar="TIME", help="How long it lives (12h, 90d), ten years at most.")
@node_options
def new(node: LocalNode, name: str, ttl: str) -> None:
    """Make a token and print it."""
    life = _life(ttl)

    async def make(db: Database) -> str | None:
        await users.find(db, name)
        return await tokens.mint_token(db, name, node.settings.webapp.token_key, life)

    click.echo(node.run(make))


@token.command(epilog="Example: satchel token revoke 5f0c9f6f2a3b4c5d")
@click.argument("token", metavar="TOKEN_OR_JTI")
@node_options
def revoke(node: LocalNode, token: str) -> None:
    """End one token, named by itself or by the jti in it."""
    node.run(lambda db: tokens.revoke(db, token, node.settings.webapp.token_key))
    click.echo("The token is dead.", err=True)


def _life(ttl: str) -> float:
    try:
        life = quantities.duration(ttl)
    except ValueError as error:
        say.stop(f"--ttl: {error}.", say.USAGE)
    if not 1 <= life <= TOKEN_LONGEST:
        say.stop(f"--ttl {ttl} is not between one second and ten years; a login gives {TOKEN_LIFE / 86_400:.0f}d.", say.USAGE)
    return life
