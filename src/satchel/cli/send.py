"""`satchel send`: upload a file and send it."""

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from satchel.cli.target import client_options

if TYPE_CHECKING:
    from satchel.client import Client


@click.group()
def send() -> None:
    """Send a file to a number."""


@send.command(epilog="Example: satchel send image --to 12025550111 --caption 'The harbour' photo.jpg")
@click.option("--to", required=True, metavar="NUMBER", help="The recipient, with country code.")
@click.option("--caption", metavar="TEXT", help="Shown with the picture.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@client_options
def image(client: "Client", to: str, caption: str | None, file: Path) -> None:
    """Upload a JPEG or PNG, send it as an image and print the message id."""
    click.echo(client.send("image", to, client.upload(file), caption))


@send.command(epilog="Example: satchel send document --to 12025550111 bill.pdf")
@click.option("--to", required=True, metavar="NUMBER", help="The recipient, with country code.")
@click.option("--caption", metavar="TEXT", help="Shown in place of the file name.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@client_options
def document(client: "Client", to: str, caption: str | None, file: Path) -> None:
    """Upload any file, send it as a document and print the message id."""
    click.echo(client.send("document", to, client.upload(file), caption, file.name))
