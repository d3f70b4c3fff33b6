"""What the client raises: one class for each kind of trouble, the kinds that commands have exit codes for."""

from typing import ClassVar

STORAGE = frozenset({"volume-full", "volume-not-writable", "volume-missing"})
"""Slugs of the header Satchel-Error that speak of the node's volume."""


class SatchelError(Exception):
    """Anything that went wrong. `code`, `title`, `details`: from the contract's envelope; `status`: of HTTP, 0 where nobody answered.

    `request_id`: finds the request in the node's log; `slug`: the situation, see the reference of errors; `exit_code`: that of commands.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, said: str, *, code: int = 0, title: str = "", details: str = "", status: int = 0) -> None:
        super().__init__(said)
        self.code, self.title, self.details, self.status = code, title, details or said, status
        self.request_id = self.slug = ""


class ClientError(SatchelError):
    """The node said no, and for none of the reasons below."""

    def __init__(self, status: int, code: int, title: str, details: str, slug: str, request_id: str = "") -> None:
        said = f"{details or title} (HTTP {status}{f', code {code}' if code else ''})"
        super().__init__(said, code=code, title=title, status=status)
        self.details, self.slug, self.request_id = details, slug, request_id


class NotAllowed(ClientError):
    """No valid token or password, or not this user."""

    exit_code = 4


class NotFound(ClientError):
    """There is no such thing."""

    exit_code = 5


class Refused(ClientError):
    """The request, the file or the message does not fit."""

    exit_code = 6


class StorageTrouble(ClientError):
    """The node's volume is full, read-only or missing."""

    exit_code = 7


class Busy(ClientError):
    """The node cannot do it now: try again later."""

    exit_code = 8


class SendFailed(SatchelError):
    """A message ended `failed`; code, title and details are those of its status."""

    exit_code = 6


class FileUnreadable(SatchelError):
    """A file to upload cannot be read to its end."""

    def __init__(self, path: str, why: object) -> None:
        super().__init__(f"{path} cannot be read to its end ({why}): upload it again.")


class Unreachable(SatchelError):
    """Nobody answers at the address, or the connection broke."""

    exit_code = 8


class NobodyListens(Unreachable):
    """The address is free."""


class TimedOut(SatchelError):
    """What was waited for did not come in time."""

    exit_code = 9


def refusal(status: int, code: int, title: str, details: str, slug: str, request_id: str = "") -> ClientError:
    """The error of its kind for an answer that is not a 2xx."""
    return _kind(status, slug)(status, code, title, details, slug, request_id)


def _kind(status: int, slug: str) -> type[ClientError]:
    if slug in STORAGE:
        return StorageTrouble
    known: dict[int, type[ClientError]] = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 429: Busy, 503: Busy}
    return known.get(status, Refused if status < 500 else ClientError)
