"""Whom client commands talk to: --url and --token, else the environment, else a running `satchel dev` found through its state file."""

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click import get_current_context

from satchel.cli import say
from satchel.cli.options import state_data_dir
from satchel.cli.state import DATA_DIR, state_of

if TYPE_CHECKING:
    from satchel.client import ClientError, FileUnreadable, Unreachable

OURS = (
    ("There is no message ", "GET the list for those there are", "satchel message ls lists those there are"),
    ("There is no callback ", "GET the list for those there are", "satchel webhook ls lists those there are"),
    ("has no message ", "list its messages to see what arrived", "satchel sandbox phone show says what arrived"),
)
"""What a sentence is about, what it says to do over HTTP, and the command for it."""
HINT = "satchel.hint"
"""In click's context: what to add to a refusal of the token."""


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url`, `--token` and `--data-dir`, and the client they lead to as its first argument."""

    @click.option("--url", metavar="URL", help="The node; else SATCHEL_URL, else a running satchel dev.")
    @click.option("--token", metavar="TOKEN", help="A bearer token; else SATCHEL_TOKEN, else the one of a running satchel dev.")
    @state_data_dir
    @wraps(command)
    def wrapped(url: str | None, token: str | None, data_dir: Path, **given: Any) -> Any:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end in order, as at Ctrl-C: no part of a file stays behind
        found = _target(url, token, data_dir)
        from satchel.client import Client, Target

        with errors():
            return command(Client(Target(*found)), **given)

    return wrapped


@contextmanager
def errors() -> Iterator[None]:
    """Turn what a client raises into a sentence and an exit code."""
    from satchel.client import ClientError, FileUnreadable, Unreachable

    try:
        yield
    except (ClientError, FileUnreadable, Unreachable) as error:
        failure = failure_of(error)
        say.fail([failure], failure.exit_code)


def failure_of(error: "ClientError | FileUnreadable | Unreachable") -> say.Failure:
    """What a client raised, as it is told."""
    from satchel.client import ClientError, Unreachable

    if isinstance(error, ClientError):
        hint = get_current_context().meta.get(HINT, "") if error.status == 401 else ""
        return say.Failure(f"{in_commands(str(error))}{hint}", error.exit_code, (error.code or 1000, error.title, error.details))
    return say.Failure(str(error), say.UNREACHABLE if isinstance(error, Unreachable) else say.UNEXPECTED)


def in_commands(sentence: str) -> str:
    """What a node or a sandbox says of a request, for people who typed a command."""
    for asked, http, ours in OURS:
        sentence = sentence.replace(http, ours) if asked in sentence else sentence
    return sentence


def sandbox_url(given: str | None, data_dir: Path) -> str:
    """Where the sandbox is."""
    found = given or os.environ.get("SATCHEL_SANDBOX_URL") or state_of(data_dir).get("sandbox_url")
    if not found:
        say.stop("No sandbox is known: start satchel dev here, or set SATCHEL_SANDBOX_URL.", say.CONFIGURATION)
    return str(found).rstrip("/")


def _target(url: str | None, token: str | None, data_dir: Path) -> tuple[str, str, str | None]:
    state = state_of(data_dir)
    url = url or os.environ.get("SATCHEL_URL") or state.get("url")
    if url != state.get("url"):
        state = {}  # its token is for nobody else
    token = token or os.environ.get("SATCHEL_TOKEN")
    if not token and (token := state.get("token")):
        where = "" if data_dir == DATA_DIR else f" --data-dir {shlex.quote(str(data_dir))}"
        get_current_context().meta[HINT] = (
            ". It was the token of the running satchel dev, which dies with a changed password. "
            f"Log in anew: export SATCHEL_TOKEN=$(satchel token new --user admin{where})"
        )
    if not url:
        say.stop(
            "No node is known: start satchel dev here, name its --data-dir, or give --url and --token (SATCHEL_URL, SATCHEL_TOKEN).",
            say.CONFIGURATION,
        )
    if not token:
        say.stop(
            "No token is known: give --token or set SATCHEL_TOKEN. On the node's host, satchel token new --user admin makes one.",
            say.NOT_ALLOWED,
        )
    return str(url).rstrip("/"), str(token), os.environ.get("SATCHEL_CA") or state.get("ca")
