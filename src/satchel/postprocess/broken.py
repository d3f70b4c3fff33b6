"""The errors a handler raises in the child. No `Fault`: a handler knows bytes, what a user is told is decided by the parent."""


class Broken(ValueError):
    """The bytes are malformed or end too early; the text completes "This image/jpeg is broken: …"."""


class Unfit(ValueError):
    """No rendition of this file fits the plan; the text completes "This video/mp4 cannot go out as a video: …"."""
