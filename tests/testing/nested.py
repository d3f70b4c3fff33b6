"""A pytest of its own over a sample file, as somebody's integration would run it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
PHOTO = Path(__file__).parents[1] / "media" / "harbour.jpg"
HERE = str(Path(__file__).parents[2] / "src")


@dataclass(frozen=True)
class Run:
    """`code`: pytest's exit code; `counts`: how many tests passed, failed and so on."""

    code: int
    output: str
    counts: dict[str, int]


def loaded() -> list[str]:
    """How pytest is told of the plugin where it is not installed, as in a checkout before make setup."""
    known = {point.value for point in entry_points(group="pytest11")}
    return [] if "satchel.testing.plugin" in known else ["-p", "satchel.testing.plugin"]


def environment(**given: str) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("SATCHEL_", "PYTEST_"))}
    path = os.pathsep.join([HERE, *filter(None, [outside.get("PYTHONPATH")])])
    return {**outside, "PYTHONPATH": path, **given}


def pytest(folder: Path, sample: str, *arguments: str, **environ: str) -> Run:
    """Run it in `folder`, where the sample and a photo lie."""
    shutil.copy(SAMPLES / sample, folder)
    return there(folder, sample, *arguments, **environ)


def there(folder: Path, *arguments: str, **environ: str) -> Run:
    """The same for files that lie there already."""
    shutil.copy(PHOTO, folder)
    command = [sys.executable, "-m", "pytest", *loaded(), "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(**environ), capture_output=True, text=True, timeout=180, check=False)
    output = done.stdout + done.stderr
    ends = re.findall(r"^=*\s*((?:\d+ \w+,? ?)+) in ", output, re.MULTILINE)
    counts = {what: int(number) for number, what in re.findall(r"(\d+) (\w+)", ends[-1] if ends else "")}
    return Run(done.returncode, output, counts)
