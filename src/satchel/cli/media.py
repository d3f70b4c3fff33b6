"""`satchel media`: upload, get and remove over HTTP."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from satchel.cli import say
from satchel.cli.target import client_options

if TYPE_CHECKING:
    from satchel.client import Client


@click.group()
def media() -> None:
    """Files on the media node."""


@media.command(epilog="Example: satchel media upload photo.jpg")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE...")
@click.option("--type", "mime", metavar="MIME", help="Content-Type; guessed from the file's name unless given.")
@client_options
def upload(client: "Client", files: tuple[Path, ...], mime: str | None) -> None:
    """Upload files and print the media id of each."""
    for file in files:
        click.echo(client.upload(file, mime))


@media.command(epilog="Example: satchel media get 0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11 -o photo.jpg")
@click.argument("media_id", metavar="ID")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, allow_dash=True),
    default=None,
    metavar="FILE",
    help="Where to; the id in this folder unless given, - for stdout.",
)
@client_options
def get(client: "Client", media_id: str, output: Path | None) -> None:
    """Fetch the bytes of a media."""
    target = output or Path(media_id)
    with client.get(media_id) as blocks:
        if str(target) == "-":
            for block in blocks:
                sys.stdout.buffer.write(block)
            return
        part = target.with_name(f".{target.name}.part")
        try:
            with part.open("wb") as file:
                for block in blocks:
                    file.write(block)
            part.replace(target)
        except OSError as error:
            say.stop(f"{target} cannot be written ({error.strerror}): choose another place with -o.", say.UNEXPECTED)
        finally:
            part.unlink(missing_ok=True)
    click.echo(str(target), err=True)


@media.command(epilog="Example: satchel media rm 0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11")
@click.argument("media_ids", nargs=-1, required=True, metavar="ID...")
@client_options
def rm(client: "Client", media_ids: tuple[str, ...]) -> None:
    """Delete media. Messages accepted before still go out."""
    for media_id in media_ids:
        client.delete(media_id)
