"""How long lanes wait between two tries of what did not work for now. Callbacks have a slower pace of their own."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Seconds."""


def wait_after(attempts: int, longest: float = LONGEST_WAIT) -> float:
    """Seconds until the next try of what had so many before this one: twice as long each time, up to `longest`."""
    return min(longest, FIRST_WAIT * 2.0 ** min(attempts, 10))
