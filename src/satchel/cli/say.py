"""How commands end: the answer on stdout, everything else on stderr, and an exit code that says what kind of trouble it was."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

UNEXPECTED, USAGE, CONFIGURATION, NOT_ALLOWED, NOT_FOUND, REFUSED, STORAGE, UNREACHABLE = range(1, 9)


def stop(sentence: str, code: int) -> NoReturn:
    """Say one sentence on stderr and end."""
    sys.stderr.write(f"satchel: {sentence}\n")
    sys.exit(code)


@contextmanager
def configuration_errors() -> Iterator[None]:
    """Turn what is wrong with settings, schema or passwords into a sentence and exit code 3."""
    from satchel.domain.errors import Fault, Later
    from satchel.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        stop(str(error), CONFIGURATION)
    except Fault as fault:
        stop(fault.details, CONFIGURATION)
    except Later as later:
        stop(later.details, UNREACHABLE)
    except OSError as error:
        stop(f"{error.filename or 'a file'} cannot be used ({error.strerror}): check its path and permissions.", CONFIGURATION)
