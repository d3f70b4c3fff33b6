"""What a `.http` file holds: cases, and the steps of a case."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One request and its answer (`continued`: with `HTTP 100` before it), or a look at the volume: `method` rm or cat, `path` a file.

    Bodies are as written; `wanted` is "" where no body may come. `line`: where the step starts.
    """

    line: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    status: int = 0
    continued: bool = False
    wanted_headers: tuple[tuple[str, str], ...] = ()
    wanted: str = ""


@dataclass(frozen=True)
class Case:
    """One contract test. `text`: its lines without title and marks."""

    file: Path
    line: int
    name: str
    rules: tuple[str, ...]
    title: str
    live: bool = False
    parallel: int = 1
    settings: dict[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    text: str = ""
