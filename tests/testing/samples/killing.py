"""Every second test kills a process of the node and then waits in vain; those between only want a node."""

import os
import signal
from pathlib import Path

import pytest

from satchel.testing.world import World


def child(part: str) -> int:
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    children = {int(pid) for path in listed for pid in path.read_text().split()}
    return next(pid for pid in children if part in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))


@pytest.mark.parametrize("part", [None, "--role web", None, "--role core", None, "satchel_sandbox", None])
def test_it(whatsapp: World, part: str | None) -> None:
    phone = whatsapp.phone("12025550112")
    if part is not None:
        pid = child(part)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    whatsapp.node.send.text(phone.number, "hello")
    assert phone.wait_for("text", timeout=0.2 if part else 5).text == "hello"
