"""`satchel media check`: what would become of files, asked of the node that would send them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option
from satchel.cli.progress import Bar
from satchel.cli.target import client_options, failure_of

if TYPE_CHECKING:
    from satchel.client import Client

TYPES = ("audio", "document", "image", "sticker", "video")
VERDICTS = {"ok": "OK", "changed": "OK (changed)", "refused": "REFUSED"}


@click.command(epilog="Example: satchel media check photo.png --as image")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE...")
@click.option("--as", "media_type", type=click.Choice(TYPES), help="What they would be sent as; their content says unless given.")
@json_option
@client_options
def check(client: "Client", files: tuple[Path, ...], media_type: str | None, as_json: bool) -> None:
    """Tell what would become of files, without sending or keeping them. Exit code 6 when one would be refused."""
    reports: list[dict[str, Any]] = []
    failed: list[say.Failure] = []
    width = max(len(file.name) for file in files)
    for file in files:
        report = _asked(client, file, media_type, failed)
        if report is None and failed[-1].exit_code != say.REFUSED:
            break  # the next file would fare no better
        if report is not None:
            reports.append({"file": str(file), **report})
            if not as_json:
                click.echo("\n".join(lines(f"{file.name:<{width}}", report)))
    if as_json:
        say.json({"reports": reports})
    if failed:
        say.fail(failed, failed[-1].exit_code)
    if any(report["verdict"] == "refused" for report in reports):
        sys.exit(say.REFUSED)


def _asked(client: "Client", file: Path, media_type: str | None, failed: list[say.Failure]) -> dict[str, Any] | None:
    """The report on one file; None where there is none, and why is noted."""
    from satchel.client import ClientError, FileUnreadable, Unreachable

    try:
        with Bar(file.name, file.stat().st_size) as bar:
            return client.preflight(file, media_type, moved=bar.moved)
    except (ClientError, FileUnreadable, Unreachable) as error:
        failed.append(failure_of(error).told(str(file)))
        return None


def lines(name: str, report: dict[str, Any]) -> Iterator[str]:
    """What was found, what becomes of it, its size before and after, the verdict; then the reasons, a line each."""
    indent = " " * (len(name) + 2)
    yield "  ".join((name, found(report["detected"]), _becomes(report), _sizes(report), VERDICTS[report["verdict"]]))
    yield from (f"{indent}{action['do']}: {action['why']}" for action in report["actions"])
    yield from (f"{indent}{problem['details']} (code {problem['code']})" for problem in report["problems"])


def found(detected: dict[str, Any]) -> str:
    """`image/png 3024×4032 alpha`, `video/mp4 hevc + aac 1920×1080 4:05 2 ch`."""
    seconds = round(detected.get("duration", 0))
    parts = [
        detected["mime"],
        " + ".join(detected.get("codecs", ())),
        f"{detected['w']}×{detected['h']}" if "w" in detected else "",
        f"{seconds // 60}:{seconds % 60:02}" if "duration" in detected else "",
        f"{detected['channels']} ch" if "channels" in detected else "",
        *(word for word in ("alpha", "animated") if detected.get(word)),
    ]
    return " ".join(part for part in parts if part)


def _becomes(report: dict[str, Any]) -> str:
    if report["verdict"] == "refused":
        return f"as {report['as']}"
    after = next((action["after"] for action in report["actions"] if "after" in action), None)
    return f"→ {after} as {report['as']}" if after else f"→ kept as {report['as']}"


def _sizes(report: dict[str, Any]) -> str:
    from satchel.domain.quantities import shown_size

    sizes = [shown_size(report["sizes"][name]) for name in ("upload", "processed") if name in report["sizes"]]
    return " → ".join(sizes)
