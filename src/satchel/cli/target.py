"""Whom client commands talk to: --url and --token, else the environment, else a running `satchel dev` found through its state file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.state import DATA_DIR, state_of

if TYPE_CHECKING:
    from satchel.client import ClientError, FileUnreadable, Unreachable

STORAGE = {"volume-full", "volume-not-writable", "volume-missing"}


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url`, `--token` and `--data-dir`, and the client they lead to as its first argument."""

    @click.option("--url", metavar="URL", help="The node; else SATCHEL_URL, else a running satchel dev.")
    @click.option("--token", metavar="TOKEN", help="A bearer token; else SATCHEL_TOKEN, else the one of a running satchel dev.")
    @click.option(
        "--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True, help="Where satchel dev keeps its state file."
    )
    @wraps(command)
    def wrapped(url: str | None, token: str | None, data_dir: Path, **given: Any) -> Any:
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
        return say.Failure(str(error), _code(error), (error.code or 1000, error.title, error.details))
    return say.Failure(str(error), say.UNREACHABLE if isinstance(error, Unreachable) else say.UNEXPECTED)


def sandbox_url(given: str | None, data_dir: Path) -> str:
    """Where the sandbox is."""
    found = given or os.environ.get("SATCHEL_SANDBOX_URL") or state_of(data_dir).get("sandbox_url")
    if not found:
        say.stop("No sandbox is known: start satchel dev here, or set SATCHEL_SANDBOX_URL.", say.CONFIGURATION)
    return str(found).rstrip("/")


def _target(url: str | None, token: str | None, data_dir: Path) -> tuple[str, str, str | None]:
    state = state_of(data_dir)
    url = url or os.environ.get("SATCHEL_URL") or state.get("url")
    token = token or os.environ.get("SATCHEL_TOKEN") or state.get("token")
    if not url:
        say.stop(
            "No node is known: start satchel dev here, name its --data-dir, or give --url and --token (SATCHEL_URL, SATCHEL_TOKEN).",
            say.CONFIGURATION,
        )
    if not token:
        say.stop("No token is known: give --token or set SATCHEL_TOKEN; POST /v1/users/login gives one.", say.NOT_ALLOWED)
    return str(url).rstrip("/"), str(token), os.environ.get("SATCHEL_CA") or state.get("ca")


def _code(error: "ClientError") -> int:
    if error.slug in STORAGE:
        return say.STORAGE
    known = {401: say.NOT_ALLOWED, 403: say.NOT_ALLOWED, 404: say.NOT_FOUND, 429: say.UNREACHABLE, 503: say.UNREACHABLE}
    return known.get(error.status, say.REFUSED if error.status < 500 else say.UNEXPECTED)
