"""`satchel migrate`: bring the database up to this version."""

import asyncio
import os
from pathlib import Path

import rich_click as click

from satchel import build
from satchel.cli import say
from satchel.cli.options import node_data_dir
from satchel.db import schema
from satchel.settings import Settings, load


@click.command(epilog="Example: satchel migrate --data-dir /var/lib/satchel")
@node_data_dir
def migrate(data_dir: Path) -> None:
    """Apply the migrations that are missing; several processes may do it at once."""
    with say.configuration_errors():
        settings = load(data_dir, os.environ)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        applied = asyncio.run(_migrate(settings))
    click.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


async def _migrate(settings: Settings) -> list[str]:
    db = build.database(settings)
    try:
        return await schema.migrate(db)
    finally:
        await db.close()
