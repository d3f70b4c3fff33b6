"""`satchel sandbox phone ls|add` and what a person does with a phone. What it has received is shown by sandbox_show.py."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option
from satchel.cli.sandbox_network import sandbox_options
from satchel.domain.quantities import shown_bytes, shown_count

if TYPE_CHECKING:
    from satchel.client.sandbox import Sandbox

PATIENCE = "40s"
"""For media to arrive: longer than a phone waits for a sender whom it asks to upload them again."""
WHOLE = {
    "open": "Open the chat with whoever wrote last: everything in it is read, and what comes until it is left.",
    "leave": "Leave the chat that is open.",
    "offline": "Take a phone offline: nothing reaches it until it is back.",
    "online": "Bring a phone back online: what waited for it comes in its order.",
    "block": "Block the business: what it sends from now on never reaches the phone.",
    "unblock": "Unblock the business.",
}
ABOUT_MESSAGES = {
    "download": "Fetch the media of a message (its id or latest), or of all that the phone does not have.",
    "forget": "Delete the phone's own copy of the media of a message (its id or latest), or of all.",
    "read": "Read a message (its id or latest), or all, without opening the chat.",
    "play": "Play an audio or a video: a message by its id, or the latest.",
}


@click.command(epilog="Example: satchel sandbox phone ls")
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but the numbers.")
@sandbox_options
def ls(network: "Sandbox", as_json: bool, quiet: bool) -> None:
    """List the phones."""
    phones = network.phones()
    if as_json:
        say.json({"phones": phones})
        return
    for phone in phones:
        click.echo(phone["number"] if quiet else line(phone))


@click.command(epilog="Example: satchel sandbox phone add 12025550112 --system iphone --timezone Asia/Seoul")
@click.argument("number", required=False)
@click.option("--name", metavar="NAME", help="What to call it; its number unless given.")
@click.option("--system", type=click.Choice(["android", "iphone"]), default="android", show_default=True, help="Its operating system.")
@click.option("--locale", metavar="LOCALE", default="en", show_default=True, help="Its language, such as ko-KR.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="Its time zone, such as Asia/Seoul.")
@click.option("--offline", is_flag=True, help="It is offline.")
@click.option("--no-auto-download", is_flag=True, help="It fetches media only when told to.")
@click.option("--no-read-receipts", is_flag=True, help="It does not tell that something was read.")
@json_option
@sandbox_options
def add(
    network: "Sandbox",
    number: str | None,
    name: str | None,
    offline: bool,
    no_auto_download: bool,
    no_read_receipts: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Add a phone; without a number it gets a free one. Numbers that something is sent to get a phone by themselves."""
    given |= {"name": name} if name else {}
    given |= {name: False for name, off in _switches(offline, no_auto_download, no_read_receipts).items() if off}
    phone = network.add_phone(number, given)
    say.json(phone) if as_json else click.echo(line(phone))


def _switches(offline: bool, no_auto_download: bool, no_read_receipts: bool) -> dict[str, bool]:
    """What each switch turns off."""
    return {"online": offline, "auto_download": no_auto_download, "read_receipts": no_read_receipts}


def whole(do: str) -> Any:
    """The command for something one does with a whole phone."""

    @click.command(do, help=WHOLE[do], epilog=f"Example: satchel sandbox phone {do} 12025550111")
    @click.argument("number")
    @json_option
    @sandbox_options
    def command(network: "Sandbox", number: str, as_json: bool) -> None:
        done = network.act(number, do)
        say.json(done) if as_json else click.echo(line(done["phone"]))

    return command


def about_messages(do: str) -> Any:
    """The command for something one does with a message, or with all."""

    @click.command(do, help=ABOUT_MESSAGES[do], epilog=f"Example: satchel sandbox phone {do} 12025550111 latest")
    @click.argument("number")
    @click.argument("message", required=False, metavar="[MESSAGE]")
    @json_option
    @sandbox_options
    def command(network: "Sandbox", number: str, message: str | None, as_json: bool) -> None:
        done = network.act(number, do, message, wait=PATIENCE)
        if as_json:
            say.json(done)
        else:
            click.echo(message_line(done["message"]) if "message" in done else line(done["phone"]))
        if do == "download":
            _stop_if_unavailable(done.get("message") or {})

    return command


@click.command(epilog="Example: satchel sandbox phone forward 12025550111 latest 12025550112")
@click.argument("number")
@click.argument("message", metavar="MESSAGE")
@click.argument("to", metavar="TO")
@json_option
@sandbox_options
def forward(network: "Sandbox", number: str, message: str, to: str, as_json: bool) -> None:
    """Send a message on to another phone. Media go on as they lie on the server: their 14 days do not start anew."""
    done = network.act(number, "forward", message, wait=PATIENCE, to=to)
    say.json(done) if as_json else click.echo(message_line(done["message"]))


def _stop_if_unavailable(message: dict[str, Any]) -> None:
    """A download that brought nothing is refused, and says why."""
    if (media := message.get("media")) and media["state"] == "unavailable":
        reason = str(media.get("reason") or "no reason is known").rstrip(".")
        say.stop(f"The media of message {message['id']} is unavailable: {reason}.", say.REFUSED)


def message_line(message: dict[str, Any]) -> str:
    """One message in one line."""
    media = message.get("media")
    template = message.get("template") or {}
    what = " ".join((message.get("text") or "").split()) or template.get("name") or message.get("caption") or message.get("filename") or ""
    size = f"{media['mime_type']}  {shown_bytes(media['size'])}  {media['state']}" if media else ""
    kind = "voice" if message.get("voice") else message["type"]
    ticks = message.get("ticks")
    sent = ("sent" if ticks == "sent" else f"sent, {ticks}") if message.get("mine") else ""
    return "  ".join(part for part in (message["at"], kind, what, size, message.get("reaction"), sent, message["id"]) if part)


def line(phone: dict[str, Any]) -> str:
    """One phone in one line."""
    marks = {"offline": not phone["online"], "blocked": phone["blocked"], "no auto-download": not phone["auto_download"]}
    marks |= {"no read receipts": not phone["read_receipts"], "chat open": phone["chat"] is not None}
    name = "" if phone["name"] == phone["number"] else phone["name"]
    counts = shown_count(phone["messages"], "message") + (f", {phone['waiting']} waiting" if phone["waiting"] else "")
    parts = (phone["number"], name, phone["system"], phone["timezone"], counts, *(mark for mark, is_so in marks.items() if is_so))
    return "  ".join(part for part in parts if part)


COMMANDS = [ls, add, forward, *map(whole, WHOLE), *map(about_messages, ABOUT_MESSAGES)]
