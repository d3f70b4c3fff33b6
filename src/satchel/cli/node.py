"""Commands that work on the database of this host, without a running node."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from satchel import build
from satchel.cli import say
from satchel.db import Database, schema
from satchel.domain.errors import SCHEMA_UNFIT, USER_UNKNOWN, Fault
from satchel.settings import DATA_DIR, Settings, load

T = TypeVar("T")


def node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--data-dir`, and as its first argument the `Node` that lies there."""

    @click.option(
        "--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True, help="Where the SQLite database lies."
    )
    @wraps(command)
    def wrapped(data_dir: Path, **given: Any) -> Any:
        with say.configuration_errors():
            return command(Node(load(data_dir, os.environ)), **given)

    return wrapped


class Node:
    """The database that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        database = settings.data_dir / "satchel.db"
        if settings.database.kind == "sqlite" and not database.exists():
            say.stop(f"There is no {database}: name the node's --data-dir, or start satchel dev or satchel serve once.", say.CONFIGURATION)

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do some work on the database, its schema brought up to date."""
        try:
            return asyncio.run(self._run(work))
        except Fault as fault:
            if fault.situation is SCHEMA_UNFIT:
                raise
            say.stop(fault.details, say.NOT_FOUND if fault.situation is USER_UNKNOWN else say.REFUSED)

    async def _run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        db = build.database(self.settings)
        try:
            await schema.migrate(db)
            return await work(db)
        finally:
            await db.close()
