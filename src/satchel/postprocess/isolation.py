"""What a child gives up before it looks at a byte from outside. Runs inside the child only; each step tells whether it was reached.

Limits come from the kernel and need no privilege. What they leave open (other system calls) is a matter
for the container Satchel runs in.
"""

import math
import os
import resource
import time

NOBODY = 65534
CPU_SECONDS = 30
"""Processor time for one job, on top of what the child had used before."""

BASE_BYTES = 512 << 20
BYTES_PER_PIXEL = 6
"""The dearest decode: a progressive JPEG without subsampling holds three coefficients of two bytes for each pixel."""


def memory_limit(max_pixels: int) -> int:
    """Address space of a child, in bytes: room for the largest picture, for two copies of the largest upload, and for Python."""
    return BASE_BYTES + BYTES_PER_PIXEL * max_pixels


def isolate(max_pixels: int) -> list[str]:
    """Give up rights for good and name the steps that were reached, for the log. From here on no file and no socket opens."""
    reached = ["user nobody"] if os.geteuid() == 0 and _become_nobody() else []
    memory = memory_limit(max_pixels)
    steps = (
        (f"memory {memory >> 20} MiB", resource.RLIMIT_AS, memory),
        ("no core dump", resource.RLIMIT_CORE, 0),
        ("no file written", resource.RLIMIT_FSIZE, 0),
        ("no file opened", resource.RLIMIT_NOFILE, 0),
    )
    return reached + [name for name, limit, value in steps if _lower(limit, value)]


def renew_cpu() -> None:
    """Allow the next job its processor time. Only the soft limit moves: the hard one could not be raised again."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(time.process_time()) + CPU_SECONDS
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
