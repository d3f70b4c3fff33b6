"""The pipe that ties a child to `satchel dev`: when its other end closes, however `dev` died, the child stops."""

import os
import signal
import threading
import time

VARIABLE = "SATCHEL_LIFELINE_FD"
GRACE = 10.0


def hold() -> None:
    """Watch the pipe that the environment names, if it names one."""
    if (given := os.environ.pop(VARIABLE, "")).isdigit():
        threading.Thread(target=_watch, args=(int(given),), name="lifeline", daemon=True).start()


def _watch(fd: int) -> None:
    os.set_inheritable(fd, False)
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
