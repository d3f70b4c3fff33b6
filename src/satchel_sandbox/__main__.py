"""`python -m satchel_sandbox`: reads the command line and the secret, then hands over to `server.run`."""

import argparse
import os
import sys
from pathlib import Path

SECRET = "SATCHEL_SANDBOX_SECRET"


def main() -> int:
    given = _parser().parse_args()
    secret = os.environ.get(SECRET, "")
    if not secret:
        print(f"{SECRET} is not set: give the sandbox and the node the same secret.", file=sys.stderr)
        return 3
    if not given.node.startswith(("http://", "https://")):
        print(f"The node's address {given.node!r} is no URL: write it like http://127.0.0.1:9090.", file=sys.stderr)
        return 3
    if given.data_dir is None and not given.memory:
        print("The sandbox has no place for its data: give --data-dir, or --memory to keep nothing.", file=sys.stderr)
        return 3
    if given.node_ca is not None and not given.node_ca.is_file():
        print(
            f"The CA file {given.node_ca} is not there: give the PEM file that the node's certificate is checked against.", file=sys.stderr
        )
        return 3
    from .network import Terms
    from .server import Options, run  # late: --help and wrong usage answer at once

    terms = Terms(life=given.blob_days * 86400.0)
    return run(Options(given.port, given.node, secret, given.data_dir, given.memory, given.node_ca, terms))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m satchel_sandbox", description="The simulated network: a media server and phones.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--node", required=True, metavar="URL", help="where the node listens")
    parser.add_argument("--node-ca", type=Path, metavar="FILE", help="PEM file to trust when the node speaks https; else the machine's own")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder for everything the network must remember")
    parser.add_argument("--memory", action="store_true", help="remember nothing after the end")
    parser.add_argument("--blob-days", type=_days, default=14.0, metavar="DAYS", help="how long encrypted blobs live from each send; 14")
    return parser


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 3650:
        raise argparse.ArgumentTypeError("give a number of days, more than 0 and at most 3650")
    return days


if __name__ == "__main__":
    sys.exit(main())
