"""`satchel send`: upload a file and send it."""

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from satchel.cli import say
from satchel.cli.media import upload_one
from satchel.cli.options import json_option
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
@json_option
@client_options
def image(client: "Client", to: str, caption: str | None, file: Path, as_json: bool) -> None:
    """Upload a JPEG or PNG, send it as an image and print the message id."""
    media_id = upload_one(client, file, None).id
    _say(client.send("image", to, media_id, caption), media_id, as_json)


@send.command(epilog="Example: satchel send document --to 12025550111 bill.pdf")
@click.option("--to", required=True, metavar="NUMBER", help="The recipient, with country code.")
@click.option("--caption", metavar="TEXT", help="Shown in place of the file name.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@client_options
def document(client: "Client", to: str, caption: str | None, file: Path, as_json: bool) -> None:
    """Upload any file, send it as a document and print the message id."""
    media_id = upload_one(client, file, None).id
    _say(client.send("document", to, media_id, caption, file.name), media_id, as_json)


def _say(message_id: str, media_id: str, as_json: bool) -> None:
    if as_json:
        say.json({"message": {"id": message_id}, "media": {"id": media_id}})
    else:
        click.echo(message_id)
