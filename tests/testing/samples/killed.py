"""A test whose process is killed."""

import os
import signal
from pathlib import Path

from satchel.testing.server import Server


def test_children(satchel_server: Server) -> None:
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    Path("children").write_text(" ".join(sorted({pid for path in listed for pid in path.read_text().split()})))
    os.kill(os.getpid(), signal.SIGKILL)
