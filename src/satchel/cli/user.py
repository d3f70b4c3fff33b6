"""`satchel user`: the users of the node on this host."""

import sys

import rich_click as click

from satchel.cli import say
from satchel.cli.node import LocalNode, node_options
from satchel.cli.options import json_option
from satchel.db import users as rows
from satchel.domain import passwords
from satchel.domain.users import ROLE_ADMIN, ROLE_USER
from satchel.flows import users

ROLES = {"admin": ROLE_ADMIN, "user": ROLE_USER}


@click.group()
def user() -> None:
    """Users of the node. A changed password and a removed user end every token of theirs at once, on every host."""


@user.command(epilog="Example: satchel user add shop --generate")
@click.argument("name")
@click.option("--role", type=click.Choice(list(ROLES)), default="user", show_default=True, help="What the user may do.")
@click.option("--generate", is_flag=True, help="Make a password and print it, instead of asking or reading it from stdin.")
@node_options
def add(node: LocalNode, name: str, role: str, generate: bool) -> None:
    """Add a user. The password is asked for, or read from stdin where that is no terminal."""
    password = _password(generate)
    node.run(lambda db: users.add(db, name, password, ROLES[role]))
    click.echo(f"{name} is added ({ROLES[role]}).", err=True)
    if generate:
        click.echo(password)


@user.command(epilog="Example: satchel user ls --json")
@json_option
@node_options
def ls(node: LocalNode, as_json: bool) -> None:
    """List the users."""
    found = node.run(lambda db: db.read(rows.every))
    if as_json:
        say.json({"users": [{"username": item.name, "role": item.role} for item in found]})
        return
    for item in found:
        click.echo(f"{item.name:<32}  {item.role}")


@user.command(epilog="Example: satchel user passwd admin")
@click.argument("name")
@click.option("--generate", is_flag=True, help="Make a password and print it, instead of asking or reading it from stdin.")
@node_options
def passwd(node: LocalNode, name: str, generate: bool) -> None:
    """Give a user another password."""
    node.run(lambda db: users.find(db, name))
    password = _password(generate)
    node.run(lambda db: users.set_password(db, name, password))
    click.echo(f"{name} has another password; tokens handed out before are dead.", err=True)
    if generate:
        click.echo(password)


@user.command(epilog="Example: satchel user rm shop")
@click.argument("name")
@node_options
def rm(node: LocalNode, name: str) -> None:
    """Remove a user. Its media and messages stay."""
    node.run(lambda db: users.remove(db, name))
    click.echo(f"{name} is removed.", err=True)


@user.command(epilog="Example: satchel user logout-all shop")
@click.argument("name")
@node_options
def logout_all(node: LocalNode, name: str) -> None:
    """End every token of a user; the password stays."""
    node.run(lambda db: users.end_tokens(db, name))
    click.echo(f"Every token of {name} is dead.", err=True)


def _password(generate: bool) -> str:
    if generate:
        return passwords.generate()
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    if not (read := sys.stdin.readline().rstrip("\r\n")):
        say.stop("There is no password on stdin: write it there, or use --generate.", say.USAGE)
    return read
