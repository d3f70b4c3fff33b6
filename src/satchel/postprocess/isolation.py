"""What a child gives up before it looks at a byte from outside. Runs inside the child only; each step tells whether it was reached.

Limits come from the kernel and need no privilege. What they leave open (other system calls) is a matter
for the container Satchel runs in.
"""

import math
import os
import resource
import time

NOBODY = 65534


def isolate(memory: int) -> list[str]:
    """Give up rights for good and name the steps that were reached, for the log. From here on no file and no socket opens.

    `memory`: address space in bytes.
    """
    reached = ["user nobody"] if os.geteuid() == 0 and _become_nobody() else []
    steps = (
        (f"memory {memory >> 20} MiB", resource.RLIMIT_AS, memory),
        ("no core dump", resource.RLIMIT_CORE, 0),
        ("no file written", resource.RLIMIT_FSIZE, 0),
        ("no file opened", resource.RLIMIT_NOFILE, 0),
    )
    return reached + [name for name, limit, value in steps if _lower(limit, value)]


def renew_cpu(seconds: int) -> None:
    """Allow the next job so much processor time, on top of what the child had used before.

    Only the soft limit moves: the hard one could not be raised again.
    """
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _become_nobody() -> bool:
    """False in a container whose root may not change its user."""
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return False
    return True


def _lower(limit: int, value: int) -> bool:
    """Lower both the soft and the hard limit; one that is lower already stays."""
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(limit, (value, value))
    except OSError:
        return False
    return True
