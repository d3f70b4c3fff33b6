"""`satchel webhook`: a receiver to try callbacks on."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import rich_click as click

from satchel.cli import say


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
