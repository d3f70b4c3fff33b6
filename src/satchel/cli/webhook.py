"""`satchel webhook`: what the business was told, telling it again, and a receiver to try callbacks on."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option
from satchel.cli.target import client_options
from satchel.domain import quantities
from satchel.domain.answers import in_words

if TYPE_CHECKING:
    from satchel.client import Client


@click.group()
def webhook() -> None:
    """Callbacks to the business."""


@webhook.command(epilog="Example: satchel webhook serve --port 9099")
@click.option("--port", type=click.IntRange(0, 65535), default=9099, show_default=True, help="Where to listen, on 127.0.0.1.")
def serve(port: int) -> None:
    """Receive callbacks: print each body on a line of its own and answer 200."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    except OSError as error:
        say.stop(f"Port {port} cannot be used ({error.strerror}): choose another with --port.", say.CONFIGURATION)
    click.echo(f"Waiting for callbacks on http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends)", err=True)
    try:
        server.serve_forever()
    finally:
        server.server_close()


@webhook.command(epilog="Example: satchel webhook ls --failed")
@click.option("--failed", is_flag=True, help="Only those that were given up.")
@click.option("--waiting", is_flag=True, help="Only those that wait.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N", help="At the most so many.")
@json_option
@client_options
def ls(client: "Client", failed: bool, waiting: bool, limit: int, as_json: bool) -> None:
    """List callbacks, the newest first."""
    found = client.callbacks("dead" if failed else "waiting" if waiting else None, limit)
    if as_json:
        say.json({"callbacks": found})
        return
    for one in found:
        click.echo(_line(one))


@webhook.command(epilog="Example: satchel webhook show cb_0b7c9e525a0d4f0e9a3a1d1b7f5b2c11")
@click.argument("callback_id", metavar="ID")
@json_option
@client_options
def show(client: "Client", callback_id: str, as_json: bool) -> None:
    """Show a callback, its body and its attempts, with how the answers began that did not take it."""
    one = client.callback(callback_id)
    if as_json:
        say.json(one)
        return
    click.echo(f"{_line(one)}\n{one['body']}")
    for attempt in one["attempts"]:
        click.echo(f"  attempt {attempt['n']}  {attempt['at']}  {in_words(attempt['result'])}  {attempt['ms']} ms")
        if attempt.get("answer"):
            click.echo(f"             answered: {attempt['answer']}")


@webhook.command(epilog="Example: satchel webhook replay --since 2h")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--failed", is_flag=True, help="Those that nobody took: given up, or put down while no URL was set.")
@click.option("--since", metavar="TIME", help="Those of the last such as 2h.")
@click.option("--to", metavar="URL", help="To this address and not to the webhook's.")
@json_option
@client_options
def replay(client: "Client", ids: tuple[str, ...], failed: bool, since: str | None, to: str | None, as_json: bool) -> None:
    """Tell callbacks again, with the ids their receivers know them by."""
    if sum((bool(ids), failed, since is not None)) != 1:
        raise click.UsageError("Say which: their ids, --failed or --since.")
    made = client.replay(ids, failed=failed, since=since, to=to)
    if as_json:
        say.json({"callbacks": [{"id": one} for one in made]})
    else:
        click.echo(f"{len(made)} told again")


@webhook.command(epilog="Example: satchel webhook test")
@click.option("--wait", default="20s", show_default=True, metavar="TIME", help="For so long for an answer.")
@json_option
@client_options
def test(client: "Client", wait: str, as_json: bool) -> None:
    """Send a callback that says nothing, and tell how it was answered. One that nobody takes waits like any other."""
    made = client.test_webhook()
    until = time.monotonic() + quantities.duration(wait)
    while not (one := client.callback(made))["attempts"] and time.monotonic() < until:
        time.sleep(0.1)
    if as_json:
        say.json(one)
    result = one["attempts"][-1]["result"] if one["attempts"] else ""
    if result != "200":
        met = f"was answered with {result}" if result.isdigit() else f"reached nobody at the webhook's address ({in_words(result)})"
        answered = met if result else f"had no answer within {wait}"
        say.stop(f"The callback {made} {answered}: only HTTP 200 counts. It waits now, and is tried again.", say.UNREACHABLE)
    if not as_json:
        click.echo(f"200 after {one['attempts'][-1]['ms']} ms")


def _line(one: dict[str, Any]) -> str:
    due = f"  again in {one['due_in']:.0f} s" if one["due_in"] and one["due_in"] > 0 else ""
    attempts = one["attempts"]
    failed = attempts if isinstance(attempts, int) else sum(attempt["result"] != "200" for attempt in attempts)
    return f"{one['id']}  {one['created_at']}  {one['state']:7}  {failed} failed  {one['cause']}  {one['contact']}{due}"


class Receiver(BaseHTTPRequestHandler):
    """Takes any POST."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """For whoever only knocks."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sys.stdout.write(body.decode("utf-8", "replace") + "\n")
        sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Only bodies are printed."""
