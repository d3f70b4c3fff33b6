"""`satchel send`: a text, or a file that is uploaded first, or a link."""

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from satchel.cli import say
from satchel.cli.media import upload_one
from satchel.cli.options import json_option
from satchel.cli.target import client_options
from satchel.domain import quantities

if TYPE_CHECKING:
    from satchel.client import Client

TO = click.option("--to", required=True, metavar="NUMBER", help="The recipient, with country code.")
KINDS = {
    "image": ("Upload a picture, send it as an image and print the message id.", "photo.jpg"),
    "video": ("Upload a video, send it and print the message id.", "clip.mp4"),
    "audio": ("Upload a recording, send it and print the message id.", "voice.ogg"),
    "document": ("Upload any file, send it as a document and print the message id.", "bill.pdf"),
    "sticker": ("Upload a picture, send it as a sticker (JPEG and PNG are converted to WebP) and print the message id.", "wave.webp"),
}


def _time(context: click.Context, parameter: click.Parameter, given: str) -> str:
    try:
        quantities.duration(given)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    return given


WAIT = click.option("--wait", type=click.Choice(["sent", "delivered", "read"]), help="Wait until it has come so far.")
TIMEOUT = click.option("--timeout", metavar="TIME", default="60s", show_default=True, callback=_time, help="With --wait: for so long.")
CAPTIONS = {"image": "Shown with the picture.", "video": "Shown with the video.", "document": "Shown in place of the file name."}


@click.group()
def send() -> None:
    """Send a message to a number."""


@send.command(epilog="Example: satchel send text --to 12025550111 'The ferry leaves at nine'")
@TO
@click.argument("body", metavar="TEXT")
@click.option("--preview-url", is_flag=True, help="Let the phone show what a link in the text leads to.")
@WAIT
@TIMEOUT
@json_option
@client_options
def text(client: "Client", to: str, body: str, preview_url: bool, wait: str | None, timeout: str, as_json: bool) -> None:
    """Send a text and print the message id. Exit code 9 when --wait waited in vain, 6 when the message failed."""
    _say(client, client.send_text(to, body, preview_url), None, as_json, wait, timeout)


def _add(kind: str, about: str, example: str) -> None:
    def command(
        client: "Client",
        to: str,
        file: Path | None,
        link: str | None,
        wait: str | None,
        timeout: str,
        as_json: bool,
        caption: str | None = None,
        filename: str | None = None,
    ) -> None:
        if (file is None) == (link is None):
            raise click.UsageError("Give a FILE to upload, or --link, and not both.")
        media_id = upload_one(client, file, None).id if file is not None else None
        shown = filename or (file.name if file is not None and kind == "document" else None)
        message_id = client.send(kind, to, media_id, link=link, caption=caption, filename=shown)
        _say(client, message_id, media_id, as_json, wait, timeout)

    options = [TO, click.option("--link", metavar="URL", help="An address that the node fetches, in place of FILE.")]
    if kind in CAPTIONS:
        options.append(click.option("--caption", metavar="TEXT", help=CAPTIONS[kind]))
    if kind == "document":
        options.append(click.option("--filename", metavar="NAME", help="What the phone calls it. [default: the name of FILE]"))
    options += [click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))]
    options += [WAIT, TIMEOUT, json_option]
    decorated = client_options(command)
    for option in reversed(options):
        decorated = option(decorated)
    send.command(kind, help=about, epilog=f"Example: satchel send {kind} --to 12025550111 {example}")(decorated)


for _kind, (_about, _example) in KINDS.items():
    _add(_kind, _about, _example)


def _say(client: "Client", message_id: str, media_id: str | None, as_json: bool, wanted: str | None, timeout: str) -> None:
    """The id at once, so that nobody who waits in vain is left without it; with --json one document at the end."""
    if not as_json:
        click.echo(message_id)
    said: dict[str, str] = {"id": message_id}
    if wanted is None:
        _json(said, media_id, as_json)
        return
    from satchel.cli import message

    found = message.wait(client, message_id, wanted, quantities.duration(timeout))
    _json(said | {"state": found["state"]}, media_id, as_json)
    message.end_unless(found, wanted, timeout)


def _json(message: dict[str, str], media_id: str | None, as_json: bool) -> None:
    if as_json:
        say.json({"message": message} | ({"media": {"id": media_id}} if media_id else {}))
