"""The state file of a running `satchel dev`: where it is, and who may come in."""

import fcntl
import json
from pathlib import Path
from typing import Any

DATA_DIR = Path(".satchel")
"""Where a node keeps its data unless told. It stands here and not among the settings, so that client commands need not import those."""
STATE_FILE, LOCK_FILE = "dev.json", "dev.lock"


def state_of(data_dir: Path) -> dict[str, Any]:
    """What a running `satchel dev` says of itself; empty where none runs."""
    try:
        read: dict[str, Any] = json.loads((data_dir / STATE_FILE).read_text(encoding="utf-8"))
        return read if _runs(data_dir) else {}
    except (OSError, ValueError, KeyError):
        return {}


def ran_dev(data_dir: Path) -> bool:
    """Whether a `satchel dev` has run here and runs no more."""
    try:
        return not _runs(data_dir)
    except OSError:
        return False


def _runs(data_dir: Path) -> bool:
    """Whether a `satchel dev` holds its lock. A process id may be anybody's by now, and the token in the file is not for anybody."""
    with (data_dir / LOCK_FILE).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
