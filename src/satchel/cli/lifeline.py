"""The pipe that ties a child to its parent: when the other end closes, however the parent died, the child stops."""

import os
import signal
import threading
import time

VARIABLE = "SATCHEL_LIFELINE_FD"
GRACE = 10.0


def hold() -> bool:
    """Watch the pipe that the environment names, if it names one; whether we are somebody's child."""
    if not (given := os.environ.pop(VARIABLE, "")).isdigit():
        return False
    threading.Thread(target=_watch, args=(int(given),), name="lifeline", daemon=True).start()
    return True


def _watch(fd: int) -> None:
    os.set_inheritable(fd, False)
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
