"""Figures made into a table of ratios against the bars, in docs/explanation/performance.md."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/explanation/performance.md"


@dataclass(frozen=True)
class Row:
    """`value` must not be over `must` (`less`, `more`: not under it; the first says how many times less); `aim`: where we want to be."""

    what: str
    value: float
    unit: str
    must: float
    aim: float
    less: bool = False
    shown: str = ""
    more: bool = False

    @property
    def met(self) -> str:
        """Which bar the value meets."""
        sign = -1 if self.less or self.more else 1
        if sign * self.value <= sign * self.aim:
            return "aim"
        return "must" if sign * self.value <= sign * self.must else "**no**"

    def line(self) -> str:
        """The row in Markdown."""
        sign, tail = "≥" if self.less or self.more else "≤", " less" if self.less else ""
        bars = [f"{sign} {bar:g}{self.unit}{tail}" for bar in (self.must, self.aim)]
        return f"| {self.what} | {self.shown} | {self.value:.3g}{self.unit}{tail} | {bars[0]} | {bars[1]} | {self.met} |"


def table(rows: list[Row], about: str) -> str:
    """The whole table with a line on where it was measured."""
    head = "| request | measured | ratio or figure | must | aim | met |\n|---|---|---|---|---|---|"
    return "\n".join([f"{about} {machine()}.", "", head, *(row.line() for row in rows)])


def machine() -> str:
    """Processor, kernel and Python."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}"


def write(section: str, text: str) -> None:
    """Replace what stands between the two marker comments of a section of the page."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{PAGE} has no {begin} with {end} behind it.")
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
