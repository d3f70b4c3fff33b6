"""A pytest of its own over a sample file, as somebody's integration would run it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
PHOTO = Path(__file__).parents[1] / "media" / "harbour.jpg"
PLUGINS = ("-p", "satchel.testing.plugin", "-p", "xdist", "-p", "no:cacheprovider")
"""By name: others that happen to be installed take seconds to import, and a checkout that was set up earlier has no entry point."""
HERE = str(Path(__file__).parents[2] / "src")


@dataclass(frozen=True)
class Run:
    """`code`: pytest's exit code; `counts`: how many tests passed, failed and so on."""

    code: int
    output: str
    counts: dict[str, int]


def environment(**given: str) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("SATCHEL_", "PYTEST_"))}
    path = os.pathsep.join([HERE, *filter(None, [outside.get("PYTHONPATH")])])
    return {**outside, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **given}


def pytest(folder: Path, sample: str, *arguments: str, **environ: str) -> Run:
    """Run it in `folder`, where the sample and a photo lie."""
    shutil.copy(SAMPLES / sample, folder)
    return there(folder, sample, *arguments, **environ)


def there(folder: Path, *arguments: str, **environ: str) -> Run:
    """The same for files that lie there already."""
    shutil.copy(PHOTO, folder)
    command = [sys.executable, "-m", "pytest", *PLUGINS, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(**environ), capture_output=True, text=True, timeout=180, check=False)
    output = done.stdout + done.stderr
    ends = re.findall(r"^=*\s*((?:\d+ \w+,? ?)+) in ", output, re.MULTILINE)
    counts = {what: int(number) for number, what in re.findall(r"(\d+) (\w+)", ends[-1] if ends else "")}
    return Run(done.returncode, output, counts)
