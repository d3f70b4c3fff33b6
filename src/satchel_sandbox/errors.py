"""The one way to refuse a request: a slug, a status and a sentence. Not for faults of our own, which stay exceptions."""


class Refusal(Exception):
    """We decided against it; `details` is shown to the caller and holds no key and no query string.

    `code`: the On-Premises one, where a client may look for it. `retry_after`: seconds.
    """

    def __init__(self, status: int, slug: str, details: str, code: int | None = None, retry_after: int | None = None) -> None:
        super().__init__(f"{slug}: {details}")
        self.status = status
        self.slug = slug
        self.details = details
        self.code = code
        self.retry_after = retry_after


def invalid(details: str) -> Refusal:
    """The request does not follow the wire page or the control API."""
    return Refusal(400, "invalid", details)
