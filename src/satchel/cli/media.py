"""`satchel media`: upload, get and remove over HTTP; what lists is in listing.py, what looks before a send in check.py."""

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import rich_click as click

from satchel.cli import listing, say
from satchel.cli.check import check
from satchel.cli.options import json_option
from satchel.cli.progress import Bar
from satchel.cli.target import client_options, failure_of

if TYPE_CHECKING:
    from satchel.client import Client, Uploaded


@click.group()
def media() -> None:
    """Files on the media node."""


media.add_command(listing.ls)
media.add_command(listing.info)
media.add_command(check)


@media.command(epilog="Example: satchel media upload photo.jpg")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE...")
@click.option("--type", "mime", metavar="MIME", help="Content-Type; guessed from the file's name unless given.")
@click.option("--keep-going", is_flag=True, help="Go on with the next file when one fails; exit code 11 if some did.")
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but the ids.")
@client_options
def upload(client: "Client", files: tuple[Path, ...], mime: str | None, keep_going: bool, as_json: bool, quiet: bool) -> None:
    """Upload files and print the media id of each."""
    done: list[dict[str, str | int]] = []
    failed: list[say.Failure] = []
    with _told_at_the_end("media", done) if as_json else contextlib.nullcontext():
        for file in files:
            with _collected(failed, str(file)):
                stored = upload_one(client, file, mime, quiet or as_json)
                done.append({"file": str(file), "id": stored.id, "mime": stored.mime, "size": stored.size})
                if not as_json:
                    click.echo(stored.id)
            if failed and not keep_going:
                break
    if failed:
        _fail(failed, partly=keep_going and bool(done))


def upload_one(client: "Client", file: Path, mime: str | None, quiet: bool = True) -> "Uploaded":
    """Upload a file behind a progress bar; unless `quiet`, say on stderr what it went up as."""
    from satchel.domain.quantities import shown_size

    with Bar(file.name, file.stat().st_size) as bar:
        stored = client.upload(file, mime, bar.moved)
    if not quiet:
        click.echo(f"{file}: {stored.mime}, {shown_size(stored.size)}", err=True)
    return stored


@media.command(epilog="Example: satchel media get 0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11 -o photo.jpg")
@click.argument("media_id", metavar="ID")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, allow_dash=True),
    default=None,
    metavar="FILE",
    help="Where to; the id in this folder unless given, - for stdout.",
)
@client_options
def get(client: "Client", media_id: str, output: Path | None) -> None:
    """Fetch the bytes of a media."""
    target = output or Path(Path(media_id).name)
    with client.get(media_id) as download, Bar(media_id, download.size) as bar:
        if str(target) == "-":
            for block in download.blocks:
                bar.moved(sys.stdout.buffer.write(block))
            return
        _keep(download.blocks, target, bar)
    click.echo(str(target), err=True)


def _keep(blocks: Iterator[bytes], target: Path, bar: Bar) -> None:
    """Write the blocks aside and name the file when it is whole; whatever ends this early leaves nothing."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            for block in blocks:
                bar.moved(file.write(block))
        part.replace(target)
    except OSError as error:
        say.stop(f"{target} cannot be written ({error.strerror}): choose another place with -o.", say.UNEXPECTED)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@media.command(epilog="Example: satchel media rm 0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11")
@click.argument("media_ids", nargs=-1, required=True, metavar="ID...")
@json_option
@client_options
def rm(client: "Client", media_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete media. Messages accepted before still go out. An id that cannot be deleted does not keep the others."""
    done: list[str] = []
    failed: list[say.Failure] = []
    with _told_at_the_end("deleted", done) if as_json else contextlib.nullcontext():
        for media_id in media_ids:
            with _collected(failed, media_id):
                client.delete(media_id)
                done.append(media_id)
    if failed:
        _fail(failed, partly=bool(done))


@contextmanager
def _told_at_the_end(name: str, done: list[str] | list[dict[str, str | int]]) -> Iterator[None]:
    """Print what was done, also when Ctrl-C comes in between: the ids are known from nowhere else."""
    try:
        yield
    finally:
        say.json({name: done})


@contextmanager
def _collected(failed: list[say.Failure], about: str) -> Iterator[None]:
    """Note what a client raises for one of several objects."""
    from satchel.client import ClientError, FileUnreadable, Unreachable

    try:
        yield
    except (ClientError, FileUnreadable, Unreachable) as error:
        failed.append(failure_of(error).told(about))


def _fail(failed: list[say.Failure], partly: bool) -> NoReturn:
    say.fail(failed, say.PARTLY if partly else failed[0].exit_code)
