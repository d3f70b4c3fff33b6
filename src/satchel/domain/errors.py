"""Every error situation of the product, one line each, and the two ways to raise it.

A situation is *what happened*; its code and title are the On-Premises ones, of which one may serve several situations.
`Fault` means we decided and the answer will not change; `Later` means not now. Anything else that is raised is a bug.

    Exception
    ├── Fault        permanent: shown as an HTTP envelope or a `failed` status
    └── Later        temporary: 429/503 over HTTP, another try in Coreapp
"""

import errno
from dataclasses import dataclass


@dataclass(frozen=True)
class Situation:
    """`slug` names it, `code` and `title` are the On-Premises ones, `status` is the HTTP status at the door."""

    slug: str
    code: int
    title: str
    status: int


GENERIC = "Generic error"
DENIED = "Access denied"
MISSING = "Required parameter is missing"
INVALID = "Parameter value is not valid"
INTERNAL = "Internal error"
DOWNLOAD = "Media download error"

BUG = Situation("unexpected", 1000, GENERIC, 500)
TYPE_NOT_ACCEPTED = Situation("type-not-accepted", 1000, GENERIC, 400)
CONTENT_MISMATCH = Situation("content-mismatch", 1000, GENERIC, 400)
TOO_LONG = Situation("text-too-long", 1001, "Message too long", 400)
RECIPIENT_TYPE = Situation("recipient-type", 1002, "Invalid recipient type", 400)
BAD_CREDENTIALS = Situation("bad-credentials", 1005, DENIED, 401)
FORBIDDEN = Situation("forbidden", 1005, DENIED, 403)
VOLUME_FULL = Situation("volume-full", 1005, DENIED, 403)
VOLUME_NOT_WRITABLE = Situation("volume-not-writable", 1005, DENIED, 403)
VOLUME_MISSING = Situation("volume-missing", 1005, DENIED, 503)
VOLUME_UNREADABLE = Situation("volume-unreadable", 1005, DENIED, 503)
NOT_FOUND = Situation("not-found", 1006, "Resource not found", 404)
USER_UNKNOWN = Situation("user-not-found", 1006, "Resource not found", 404)
USER_EXISTS = Situation("user-exists", 1014, INTERNAL, 409)
IDEMPOTENCY_CONFLICT = Situation("idempotency-conflict", 1004, "Resource already exists", 409)
PASSWORD_CHANGE_REQUIRED = Situation("password-change-required", 1024, "Password Change Required", 401)
TOO_MANY_PASSWORDS = Situation("too-many-wrong-passwords", 1015, "Too many requests", 429)
TOO_MANY_REQUESTS = Situation("too-many-requests", 1015, "Too many requests", 429)
MEDIA_UNKNOWN = Situation("media-not-found", 1006, "Resource not found", 404)
PARAMETER_MISSING = Situation("parameter-missing", 1008, MISSING, 400)
PARAMETER_INVALID = Situation("parameter-invalid", 1009, INVALID, 400)
EMPTY_UPLOAD = Situation("empty-upload", 1009, INVALID, 400)
UPLOAD_BROKEN_OFF = Situation("upload-broken-off", 1009, INVALID, 400)
UPLOAD_TOO_LARGE = Situation("upload-too-large", 1009, INVALID, 413)
UPLOAD_TOO_SLOW = Situation("upload-too-slow", 1009, INVALID, 408)
DIGEST_MISMATCH = Situation("digest-mismatch", 1009, INVALID, 400)
RANGE_BEYOND_END = Situation("range-beyond-end", 1009, INVALID, 416)
NOT_SUPPORTED_YET = Situation("not-supported-yet", 1009, INVALID, 400)
TOO_MANY_CONTACTS = Situation("too-many-contacts", 1009, INVALID, 400)
NOT_REQUIRED = Situation("parameter-not-required", 1010, "Parameter is not required", 400)
TEMPLATE_FORMAT = Situation("template-format", 2008, "Template Media Format Unsupported", 400)
LINK_FAILED = Situation("link-failed", 1014, INTERNAL, 500)
LINK_TOO_LARGE = Situation("link-too-large", 1014, INTERNAL, 500)
NOT_ON_NETWORK = Situation("not-on-network", 1013, "User is not valid", 400)
UPSTREAM_BUSY = Situation("upstream-rate-limit", 429, "Rate limit hit", 429)
MESSAGE_UNKNOWN = Situation("message-not-found", 1006, "Resource not found", 404)
NOT_READY = Situation("not-ready", 1011, "Service not ready", 503)
MEDIA_UNREADABLE = Situation("media-unreadable", 1014, INTERNAL, 500)
MEDIA_TOO_HEAVY = Situation("media-too-heavy", 1014, INTERNAL, 500)
MEDIA_GONE = Situation("media-gone", 1014, INTERNAL, 500)
MEDIA_CHANGED = Situation("media-changed", 1014, INTERNAL, 500)
PREPARATION_TOO_SLOW = Situation("preparation-too-slow", 1014, INTERNAL, 500)
TOO_LARGE_TO_SEND = Situation("post-processing-too-large", 1014, INTERNAL, 500)
UPSTREAM_REFUSED = Situation("upstream-refused", 1014, INTERNAL, 500)
WORLD_RESET = Situation("world-reset", 1014, INTERNAL, 500)
CORE_AWAY = Situation("coreapp-away", 1014, INTERNAL, 503)
GC_RUNNING = Situation("gc-running", 1014, INTERNAL, 409)
UPSTREAM_DOWN = Situation("upstream-down", 1011, "Service not ready", 503)
DATABASE_DOWN = Situation("database-down", 1023, "Database error occurred", 503)
SCHEMA_UNFIT = Situation("schema-unfit", 1023, "Database error occurred", 500)
BAD_REQUEST = Situation("bad-request", 1025, "Invalid Request", 400)
WRONG_METHOD = Situation("wrong-method", 1025, "Invalid Request", 405)
EXPIRED = Situation("message-expired", 410, "Message expired", 500)
NOT_RETRIABLE = Situation("not-retriable", 1009, INVALID, 409)
NOT_DELIVERED = Situation("not-delivered", 408, "Message is not valid", 500)
RECEIVED_GONE = Situation("received-gone", 400, DOWNLOAD, 404)
RECEIVED_DAMAGED = Situation("received-damaged", 400, DOWNLOAD, 500)
RECEIVED_TOO_LARGE = Situation("received-too-large", 400, DOWNLOAD, 413)
RECEIVED_NOT_FETCHED = Situation("received-not-fetched", 400, DOWNLOAD, 503)
UNKNOWN_TYPE = Situation("unknown-message-type", 501, "Unknown message type", 501)


class Fault(Exception):
    """We decided, for good. `details` says what was measured, what the limit is and what to do next."""

    def __init__(self, situation: Situation, details: str) -> None:
        super().__init__(f"{situation.slug}: {details}")
        self.situation = situation
        self.details = details


class Later(Exception):
    """Not now: worth another try in `after` seconds."""

    def __init__(self, situation: Situation, details: str, after: float = 1.0) -> None:
        super().__init__(f"{situation.slug}: {details}")
        self.situation = situation
        self.details = details
        self.after = after


SITUATIONS = {value.slug: value for value in globals().values() if isinstance(value, Situation)}


def storage_fault(error: OSError, what: str) -> Exception:
    """The fault that a failed write means; the error itself when it is neither a full nor a read-only disk."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Fault(VOLUME_FULL, f"The media volume is full: {what} was not written. Free some space, then try again.")
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return too_many_files()
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return not_writable(error, what)
    return error


def not_writable(error: OSError, what: str) -> Fault:
    """The volume is there and does not take a file."""
    return Fault(
        VOLUME_NOT_WRITABLE,
        f"Satchel cannot write to the media volume: {what} was not written ({error.strerror}). Check its owner, folders and mount.",
    )


def reading_fault(error: OSError, what: str) -> Exception:
    """The delay that a failed read means, for what only a person can mend; the error itself for anything else."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return too_many_files()
    if error.errno in {errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR, errno.ELOOP}:
        details = f"Satchel cannot read {what} on the media volume ({error.strerror}): check its owner, its mode and its folder."
        return Later(VOLUME_UNREADABLE, details, 5.0)
    return error


def too_many_files() -> Later:
    """The process or the machine has no descriptor left."""
    return Later(NOT_READY, "Too many files and connections are open: raise the limit (ulimit -n), or find the clients that stay.", 5.0)
