"""`satchel dev` as a process, for tests."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from ..journeys.running import eventually, free_port

SATCHEL = [sys.executable, "-m", "satchel"]


def environment(**given: str) -> dict[str, str]:
    """Our own environment without any setting of Satchel's."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("SATCHEL_")}, **given}


def satchel(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*SATCHEL, *arguments], cwd=cwd, env=environment(**environ), capture_output=True, text=True, timeout=60, check=False
    )


class Dev:
    """A running `satchel dev` on free ports, its data in `folder`/.satchel."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.folder = folder
        self.port, self.sandbox_port = free_port(), free_port()
        self.url = f"{'https' if '--https' in arguments else 'http'}://127.0.0.1:{self.port}"
        self._output = folder / "dev.log"
        self._before = self._output.stat().st_size if self._output.exists() else 0  # what an earlier one said there
        with self._output.open("ab") as output:
            command = [*SATCHEL, "dev", "--port", str(self.port), "--sandbox-port", str(self.sandbox_port), *arguments]
            self.process = subprocess.Popen(command, cwd=folder, env=environment(**environ), stdout=output, stderr=subprocess.STDOUT)
        started = time.monotonic()
        eventually(lambda: self._up() or self.process.poll() is not None, 30, self.output)
        assert self.process.poll() is None, self.output()
        self.seconds = time.monotonic() - started
        eventually(lambda: "Ctrl-C" in self.output(), 5, self.output)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / ".satchel" / "dev.json").read_text())
        return found

    def output(self) -> str:
        return self._output.read_bytes()[self._before :].decode()

    def children(self) -> list[int]:
        """Process ids of sandbox, Coreapp and Webapp."""
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted({int(pid) for path in listed for pid in path.read_text().split()})

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(40)

    def _up(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/_satchel/readyz", trust_env=False, verify=False).status_code == 200
        except httpx2.TransportError:
            return False
