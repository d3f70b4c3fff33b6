"""The end of the process when its parent has gone: an inherited pipe whose other end closes with the parent."""

import os
import signal
import threading
import time

VARIABLE = "SATCHEL_LIFELINE_FD"
_GRACE = 3.0  # seconds for a clean stop


def hold() -> None:
    """Watch the pipe named in the environment; without one there is nothing to watch."""
    number = os.environ.get(VARIABLE, "")
    if number.isdecimal():
        threading.Thread(target=_watch, args=(int(number),), name="lifeline", daemon=True).start()


def _watch(fd: int) -> None:
    try:
        while os.read(fd, 64):
            pass
    except OSError:
        pass  # a pipe that cannot be read tells as little about the parent as one that is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)
