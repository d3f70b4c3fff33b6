"""HOST:PORT as a person writes it, for commands that listen there and for those that look who does. Opens nothing."""

from satchel.cli import say

BIND = "127.0.0.1:9090"
"""Where `satchel serve` listens unless told."""


def address(bind: str) -> tuple[str, int]:
    """Host, without brackets, and port; ends the command with a sentence for anything else."""
    host, _, port = bind.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        say.stop(f"--bind {bind} is not HOST:PORT, such as {BIND}.", say.USAGE)
    return host.strip("[]"), int(port)
