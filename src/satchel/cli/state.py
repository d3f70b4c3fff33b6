"""The state file of a running `satchel dev`: where it is, and who may come in."""

import json
import os
from pathlib import Path
from typing import Any

DATA_DIR = Path(".satchel")
STATE_FILE = "dev.json"


def state_of(data_dir: Path) -> dict[str, Any]:
    """What a running `satchel dev` says of itself; empty where none runs."""
    try:
        read: dict[str, Any] = json.loads((data_dir / STATE_FILE).read_text(encoding="utf-8"))
        os.kill(int(read["pid"]), 0)
        return read
    except (OSError, ValueError, KeyError):
        return {}
