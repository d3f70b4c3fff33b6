"""How commands end: the answer on stdout, everything else on stderr, and an exit code that says what kind of trouble it was."""

import json as codec
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from satchel.domain import errors

UNEXPECTED, USAGE, CONFIGURATION, NOT_ALLOWED, NOT_FOUND, REFUSED, STORAGE, UNREACHABLE, TIMED_OUT, PROBLEMS, PARTLY = range(1, 12)
INTERRUPTED = 130
EXIT_CODES = {
    0: "done",
    UNEXPECTED: "unexpected failure",
    USAGE: "wrong usage",
    CONFIGURATION: "configuration invalid",
    NOT_ALLOWED: "not authenticated, or not allowed",
    NOT_FOUND: "not found",
    REFUSED: "refused (type, size, content)",
    STORAGE: "storage: volume full, read-only or missing",
    UNREACHABLE: "node, network or database unreachable",
    TIMED_OUT: "waited in vain",
    PROBLEMS: "a check found problems",
    PARTLY: "partly done: some of several failed",
    INTERRUPTED: "interrupted",
}
SITUATIONS = {
    USAGE: errors.PARAMETER_INVALID,
    NOT_ALLOWED: errors.FORBIDDEN,
    NOT_FOUND: errors.NOT_FOUND,
    STORAGE: errors.VOLUME_MISSING,
    UNREACHABLE: errors.NOT_READY,
}
"""What the contract's envelope says for trouble that no node has told us of; everything else is a generic error."""


@dataclass(frozen=True)
class Failure:
    """One thing that went wrong. `error`: code, title and details as the node gave them."""

    sentence: str
    exit_code: int
    error: tuple[int, str, str] | None = None

    def runnable(self) -> "Failure":
        """The same, with commands as they can be run from here."""
        error = self.error and (*self.error[:2], runnable(self.error[2]))
        return Failure(runnable(self.sentence), self.exit_code, error)

    def told(self, about: str) -> "Failure":
        """The same, with the object it is about in front."""
        code, title, details = self._error()
        return Failure(f"{about}: {self.sentence}", self.exit_code, (code, title, f"{about}: {details}"))

    def json(self) -> dict[str, int | str]:
        return dict(zip(("code", "title", "details"), self._error(), strict=True))

    def _error(self) -> tuple[int, str, str]:
        meant = SITUATIONS.get(self.exit_code, errors.BUG)
        return self.error or (meant.code, meant.title, self.sentence)


def command() -> str:
    """How this command is called from here."""
    if shutil.which("satchel"):
        return "satchel"
    called = sys.argv[0]
    return shlex.quote(called) if Path(called).name == "satchel" else f"{shlex.quote(sys.executable)} -m satchel"


def runnable(sentence: str) -> str:
    """A sentence with its commands as they can be run from here."""
    from satchel.cli import COMMANDS

    told = rf"(?<!Another )(?<!running )(?<![\w/.-])satchel (?=(?:{'|'.join(COMMANDS)})\b)"  # not a path, nor a `satchel dev` that runs
    return re.sub(told, lambda _: f"{command()} ", sentence)


def json(value: Any) -> None:
    """The answer of a command that was given --json: one line. A file's name may hold bytes that are no text: JSON can escape them."""
    click.echo(codec.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())


def stop(sentence: str, code: int) -> NoReturn:
    """Say one sentence on stderr and end."""
    fail([Failure(sentence, code)], code)


def fail(failures: Sequence[Failure], code: int) -> NoReturn:
    """Say what went wrong and end: a sentence each, or with --json the contract's envelope."""
    failures = [failure.runnable() for failure in failures]
    if wants_json():
        sys.stderr.write(codec.dumps({"errors": [failure.json() for failure in failures]}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write("".join(f"satchel: {failure.sentence}\n" for failure in failures))
    sys.exit(code)


def wants_json() -> bool:
    """Whether the running command was given --json."""
    context = click.get_current_context(silent=True)
    return bool(context and context.params.get("as_json"))


@contextmanager
def configuration_errors() -> Iterator[None]:
    """Turn what is wrong with settings, schema or passwords into a sentence and exit code 3; with the volume, into 7."""
    from satchel.domain.errors import VOLUME_FULL, VOLUME_MISSING, VOLUME_NOT_WRITABLE, VOLUME_UNREADABLE, Fault, Later
    from satchel.settings import SettingsError

    storage = {VOLUME_FULL, VOLUME_MISSING, VOLUME_NOT_WRITABLE, VOLUME_UNREADABLE}
    try:
        yield
    except SettingsError as error:
        stop(str(error), CONFIGURATION)
    except Fault as fault:
        stop(fault.details, STORAGE if fault.situation in storage else CONFIGURATION)
    except Later as later:
        stop(later.details, STORAGE if later.situation in storage else UNREACHABLE)
    except OSError as error:
        stop(f"{error.filename or 'a file'} cannot be used ({error.strerror}): check its path and permissions.", CONFIGURATION)
