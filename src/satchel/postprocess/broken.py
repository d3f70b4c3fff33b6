"""The one error of the parsers in this room. Not a `Fault`: the parsers know bytes, what a user is told is decided by the parent."""


class Broken(ValueError):
    """The bytes are malformed or end too early; the text completes "This image/jpeg is broken: …"."""
