"""Commands that work on the database of this host, beside a running node or without one."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from satchel import build
from satchel.cli import say
from satchel.cli.options import node_data_dir
from satchel.cli.state import state_of
from satchel.db import Database, schema
from satchel.domain.errors import SCHEMA_UNFIT, USER_UNKNOWN, Fault
from satchel.settings import Settings, load

T = TypeVar("T")


def node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--data-dir`, and as its first argument the `LocalNode` that lies there."""

    @node_data_dir
    @wraps(command)
    def wrapped(data_dir: Path, **given: Any) -> Any:
        with say.configuration_errors():
            return command(LocalNode(load(data_dir, os.environ)), **given)

    return wrapped


def beside_dev(settings: Settings) -> Settings:
    """The settings with the network of a `satchel dev` that runs here, which has an address and a secret of its own."""
    state = state_of(settings.data_dir)
    given = {"url": state.get("sandbox_url"), "secret": state.get("upstream_secret")}
    return replace(settings, upstream=replace(settings.upstream, **{name: value for name, value in given.items() if value}))


class LocalNode:
    """The database that the settings name. Raises `SettingsError` where there is none yet."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        build.refuse_absent_database(settings)

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
