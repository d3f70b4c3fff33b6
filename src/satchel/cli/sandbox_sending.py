"""`satchel sandbox phone send|react`: what a phone sends to the business."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option
from satchel.cli.sandbox_network import sandbox_options

if TYPE_CHECKING:
    from satchel.client.sandbox import Sandbox

TYPES = ("text", "image", "video", "audio", "voice", "document", "sticker")
SUFFIXES = {
    "image": (".jpg", ".jpeg", ".png"),
    "video": (".mp4", ".3gp"),
    "audio": (".mp3", ".m4a", ".aac", ".amr"),
    "voice": (".ogg", ".opus"),
    "sticker": (".webp",),
}


@click.command(epilog="Example: satchel sandbox phone send 12025550111 photo.jpg --caption 'Here it is'")
@click.argument("number")
@click.argument("what", nargs=-1, required=True, metavar=f"[{'|'.join(TYPES)}] FILE")
@click.option("--caption", metavar="TEXT", help="Of an image, a video or a document.")
@click.option("--filename", metavar="NAME", help="What the phone calls the file; its own name unless given.")
@click.option("--mime-type", metavar="TYPE", help="What the phone says that it is; found out unless given.")
@click.option("--reply-to", metavar="MESSAGE", help="A message that this one answers: its id, or latest.")
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but the message id.")
@sandbox_options
def send(network: "Sandbox", number: str, what: tuple[str, ...], as_json: bool, quiet: bool, **given: Any) -> None:
    """Send a file from a phone to the business; or a text: text 'hello'. The type is found out from the file's name unless given."""
    from satchel.cli.sandbox_phones import message_line

    type_, subject = _taken_apart(what)
    said = {"type": type_, **{name: value for name, value in given.items() if value is not None}}
    message = network.send(number, {**said, "text": subject} if type_ == "text" else _with_file(network, number, said, Path(subject)))
    if as_json:
        say.json({"message": message})
    else:
        click.echo(message["id"] if quiet else message_line(message))


def _taken_apart(what: tuple[str, ...]) -> tuple[str, str]:
    """Type and file."""
    if len(what) > 2 or (len(what) == 2 and what[0] not in TYPES):
        raise click.UsageError(f"Give one file, with its type in front if it is not clear: {', '.join(TYPES)}.")
    if len(what) == 2:
        return what[0], what[1]
    suffix = Path(what[0]).suffix.lower()
    return next((type_ for type_, known in SUFFIXES.items() if suffix in known), "document"), what[0]


def _with_file(network: "Sandbox", number: str, said: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            name = network.give(number, file)
    except OSError as error:
        say.stop(f"{path} cannot be read ({error.strerror}): name a file that can.", say.USAGE)
    named = {"filename": path.name} if said["type"] in ("document", "audio") else {}
    return {**named, **said, "file": name}


@click.command(epilog="Example: satchel sandbox phone react 12025550111 latest 👍")
@click.argument("number")
@click.argument("message")
@click.argument("emoji")
@json_option
@sandbox_options
def react(network: "Sandbox", number: str, message: str, emoji: str, as_json: bool) -> None:
    """Put an emoji under a message of a phone (its id, or latest); an empty one takes it away."""
    from satchel.cli.sandbox_phones import message_line

    about = network.react(number, message, emoji)
    say.json({"message": about}) if as_json else click.echo(message_line(about))


COMMANDS = [send, react]
