"""`satchel media ls` and `info`: what lies on the media node."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import rich_click as click

from satchel.cli import say
from satchel.cli.options import json_option
from satchel.cli.target import client_options, failure_of

if TYPE_CHECKING:
    from satchel.client import Client, Media, Page

PAGE = 1000
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@click.command(epilog="Example: satchel media ls --mime 'image/*'")
@click.option("--all", "everything", is_flag=True, help="Everything, page after page; with --json one line each.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="At the most so many.")
@click.option("--direction", type=click.Choice(["up", "in", "link"]), help="Uploaded, received, or fetched from a link.")
@click.option("--user", metavar="NAME", help="Only what this user uploaded.")
@click.option("--mime", metavar="MIME", help="Only this type; image/* for every image.")
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but the ids.")
@client_options
def ls(client: "Client", everything: bool, limit: int, as_json: bool, quiet: bool, **filters: str | None) -> None:
    """List media, the newest first."""
    pages = client.pages(
        PAGE if everything else min(limit + 1, PAGE), **{name: value for name, value in filters.items() if value is not None}
    )
    found = _each(pages)
    if as_json and not everything:
        say.json({"media": [asdict(media) for media, _ in islice(found, limit)]})
        return
    for media, now in found if everything else islice(found, limit):
        if as_json:
            say.json(asdict(media))
        else:
            click.echo(media.id if quiet else line(media, now))
    if not everything and not quiet and next(found, None):
        click.echo("There are more: --all shows them.", err=True)


@click.command(epilog="Example: satchel media info 0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11")
@click.argument("media_id", metavar="ID")
@json_option
@client_options
def info(client: "Client", media_id: str, as_json: bool) -> None:
    """Show what the node knows of a media."""
    media = client.info(media_id)
    if as_json:
        say.json(asdict(media))
    else:
        click.echo("\n".join(_facts(media)))


def line(media: "Media", now: str) -> str:
    """One row of the table: id, type, size, age, user, and the state where it is not the usual one."""
    from satchel.domain.quantities import shown_size

    state = "" if media.state == "live" else f"  {media.state}"
    kind = media.mime.partition(";")[0]
    return f"{media.id}  {kind:<24} {shown_size(media.size):>11} {age(media.created_at, now):>5}  {media.user or '-'}{state}"


def age(then: str, now: str) -> str:
    """`14d`, `3h`, `5m`, `12s`: the largest unit that fits."""
    seconds = max(0, int((datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds()))
    return next((f"{seconds // length}{unit}" for unit, length in UNITS if seconds >= length), "0s")


def _facts(media: "Media") -> Iterator[str]:
    from satchel.domain.quantities import shown_bytes, shown_size

    shown: dict[str, Any] = {**asdict(media), "size": f"{shown_size(media.size)} ({shown_bytes(media.size)})"}
    return (f"{name.replace('_', ' '):<13} {'-' if value is None else value}" for name, value in shown.items())


def _each(pages: Iterator["Page"]) -> Iterator[tuple["Media", str]]:
    """Media by media, with the network time of its page. A filter that the node refuses is wrong usage."""
    from satchel.client import ClientError

    try:
        for page in pages:
            yield from ((media, page.now) for media in page.media)
    except ClientError as error:
        failure = failure_of(error)
        say.fail([failure], say.USAGE if error.status == 400 else failure.exit_code)
