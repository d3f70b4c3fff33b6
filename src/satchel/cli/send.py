"""`satchel send`: a text, or a file that is uploaded first, or a link."""

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from satchel.cli import say
from satchel.cli.media import upload_one
from satchel.cli.options import json_option
from satchel.cli.target import client_options

if TYPE_CHECKING:
    from satchel.client import Client

TO = click.option("--to", required=True, metavar="NUMBER", help="The recipient, with country code.")
KINDS = {
    "image": ("Upload a picture, send it as an image and print the message id.", "photo.jpg"),
    "video": ("Upload a video, send it and print the message id.", "clip.mp4"),
    "audio": ("Upload a recording, send it and print the message id.", "voice.ogg"),
    "document": ("Upload any file, send it as a document and print the message id.", "bill.pdf"),
    "sticker": ("Upload a WebP picture, send it as a sticker and print the message id.", "wave.webp"),
}
CAPTIONS = {"image": "Shown with the picture.", "video": "Shown with the video.", "document": "Shown in place of the file name."}


@click.group()
def send() -> None:
    """Send a message to a number."""


@send.command(epilog="Example: satchel send text --to 12025550111 'The ferry leaves at nine'")
@TO
@click.argument("body", metavar="TEXT")
@click.option("--preview-url", is_flag=True, help="Let the phone show what a link in the text leads to.")
@json_option
@client_options
def text(client: "Client", to: str, body: str, preview_url: bool, as_json: bool) -> None:
    """Send a text and print the message id."""
    _say(client.send_text(to, body, preview_url), None, as_json)


def _add(kind: str, about: str, example: str) -> None:
    def command(
        client: "Client",
        to: str,
        file: Path | None,
        link: str | None,
        as_json: bool,
        caption: str | None = None,
        filename: str | None = None,
    ) -> None:
        if (file is None) == (link is None):
            raise click.UsageError("Give a FILE to upload, or --link, and not both.")
        media_id = upload_one(client, file, None).id if file is not None else None
        shown = filename or (file.name if file is not None and kind == "document" else None)
        _say(client.send(kind, to, media_id, link=link, caption=caption, filename=shown), media_id, as_json)

    options = [TO, click.option("--link", metavar="URL", help="An address that the node fetches, in place of FILE.")]
    if kind in CAPTIONS:
        options.append(click.option("--caption", metavar="TEXT", help=CAPTIONS[kind]))
    if kind == "document":
        options.append(click.option("--filename", metavar="NAME", help="What the phone calls it. [default: the name of FILE]"))
    options += [click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)), json_option]
    decorated = client_options(command)
    for option in reversed(options):
        decorated = option(decorated)
    send.command(kind, help=about, epilog=f"Example: satchel send {kind} --to 12025550111 {example}")(decorated)


for _kind, (_about, _example) in KINDS.items():
    _add(_kind, _about, _example)


def _say(message_id: str, media_id: str | None, as_json: bool) -> None:
    if as_json:
        say.json({"message": {"id": message_id}} | ({"media": {"id": media_id}} if media_id else {}))
    else:
        click.echo(message_id)
