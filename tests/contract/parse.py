"""Reads `.http` files: cases as they go over the wire. README.md beside this file describes the format."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .cases import Case, Step
from .holes import HOLE, HOLES

CASE = re.compile(r"### (?P<name>[a-z0-9-]+) \[(?P<rules>[A-Z]\d\d(?: [A-Z]\d\d)*)\]: (?P<title>\S.*)")
REQUEST = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/\S*)")
LOOK = re.compile(r"\$ (rm|cat) (\S+)")
STATUS = re.compile(r"HTTP (\d{3})")
HEADER = re.compile(r"([A-Za-z0-9-]+): ?(.*)")
NEED = re.compile(r"\{\{([^{}:]+)\}\}")
GIVEN = frozenset({"token"})
"""Variables that no step needs to capture: an administrator's token."""


class Malformed(Exception):
    """A file that cannot be read; the text starts with file and line."""


Line = tuple[int, str]


def parse(file: Path) -> list[Case]:
    """Every case of a file. Raises `Malformed`."""
    lines = [(number, line.rstrip()) for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)]
    return _Reader(file, [(number, line) for number, line in lines if line != "#" and not line.startswith("# ")]).cases()


class _Reader:
    def __init__(self, file: Path, lines: list[Line]) -> None:
        self._file, self._lines = file, lines

    def cases(self) -> list[Case]:
        starts = [at for at, (_, line) in enumerate(self._lines) if line.startswith("###")]
        for number, line in self._lines[: starts[0] if starts else None]:
            self._hold(not line, number, f"before the first ### only comments may stand, not {line!r}")
        return [self._case(self._lines[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]

    def _case(self, lines: list[Line]) -> Case:
        number, title = lines.pop(0)
        found = CASE.fullmatch(title)
        if not found:
            raise self._wrong(number, "a case starts with: ### name-of-it [C01 P02]: What it shows")
        case = Case(self._file, number, found["name"], tuple(found["rules"].split()), found["title"])
        while lines and lines[0][1].startswith("@"):
            case = self._marked(case, *lines.pop(0))
        text = "\n".join(line for _, line in lines).strip()
        steps = tuple(self._steps(lines))
        self._hold(bool(steps), number, "the case has no step")
        self._check_marks(case, steps)
        self._check_variables(steps)
        return replace(case, steps=steps, text=text)

    def _marked(self, case: Case, number: int, line: str) -> Case:
        mark, _, value = line.partition(" ")
        match mark:
            case "@live" if not value:
                return replace(case, live=True)
            case "@parallel" if value.isdigit():
                return replace(case, parallel=int(value))
            case "@setting" if re.fullmatch(r"SATCHEL_\w+=\S+", value):
                return replace(case, settings=case.settings | {value.partition("=")[0]: value.partition("=")[2]})
        raise self._wrong(number, f"{line!r} is no mark: @live, @parallel N, @setting SATCHEL_X__Y=VALUE")

    def _steps(self, lines: list[Line]) -> Iterator[Step]:
        while lines:
            number, line = lines.pop(0)
            if found := LOOK.fullmatch(line):
                yield Step(number, found[1], found[2], wanted=self._body(lines, _starts_step))
            elif found := REQUEST.fullmatch(line):
                yield self._exchange(Step(number, found[1], found[2]), lines)
            else:
                self._hold(not line, number, f"expected a request such as GET /v1/media, not {line!r}")

    def _exchange(self, step: Step, lines: list[Line]) -> Step:
        headers = self._headers(lines)
        body = self._body(lines, STATUS.fullmatch)
        statuses = []
        while lines and (found := STATUS.fullmatch(lines[0][1])):
            statuses.append(int(found[1]))
            lines.pop(0)
        self._hold(len(statuses) == 1 or (len(statuses) == 2 and statuses[0] == 100), step.line, "a request needs one answer: HTTP 200")
        wanted_headers = self._headers(lines)
        at = lines[0][0] if lines else step.line
        wanted = self._body(lines, _starts_step)
        self._check_wanted(at, wanted, wanted_headers)
        answer = {"status": statuses[-1], "continued": len(statuses) == 2, "wanted_headers": wanted_headers, "wanted": wanted}
        return replace(step, headers=headers, body=body or None, **answer)  # type: ignore[arg-type]

    def _headers(self, lines: list[Line]) -> tuple[tuple[str, str], ...]:
        found = []
        while lines and lines[0][1] and not STATUS.fullmatch(lines[0][1]):
            number, line = lines.pop(0)
            header = HEADER.fullmatch(line)
            if not header:
                raise self._wrong(number, f"{line!r} is no header; an empty line comes before the body")
            found.append((header[1], header[2]))
        return tuple(found)

    def _body(self, lines: list[Line], ends: object) -> str:
        taken = []
        while lines and not ends(lines[0][1]):  # type: ignore[operator]
            taken.append(lines.pop(0)[1])
        return "\n".join(taken).strip("\n")

    def _check_wanted(self, number: int, wanted: str, headers: tuple[tuple[str, str], ...]) -> None:
        for unknown in set(HOLE.findall(wanted + "\n".join(value for _, value in headers))):
            self._hold(unknown[0] in HOLES, number, f"<{unknown[0]}> is no hole: {', '.join(sorted(HOLES))}")
        if wanted.startswith(("{", "[")):
            try:
                json.loads(wanted)
            except ValueError as error:
                raise self._wrong(number, f"the body of the answer is not JSON: {error}") from None

    def _check_marks(self, case: Case, steps: tuple[Step, ...]) -> None:
        for step in steps:
            odd = {name.lower() for name, _ in step.headers} & {"transfer-encoding", "expect", "connection"}
            self._hold(case.live or not odd, step.line, f"{', '.join(odd)} makes sense on a live server only: mark the case @live")

    def _check_variables(self, steps: tuple[Step, ...]) -> None:
        known = set(GIVEN)
        for step in steps:
            captured = {name for _, name in HOLE.findall(step.wanted + "\n".join(value for _, value in step.wanted_headers)) if name}
            said = [step.path, step.body or "", step.wanted, *(value for _, value in step.headers + step.wanted_headers)]
            for name in NEED.findall("\n".join(said)):
                self._hold(name in known, step.line, f"{{{{{name}}}}} is used before an earlier step captures it")
            known |= captured

    def _hold(self, so: bool, number: int, otherwise: str) -> None:
        if not so:
            raise self._wrong(number, otherwise)

    def _wrong(self, number: int, what: str) -> Malformed:
        return Malformed(f"{self._file.name}:{number}: {what}")


def _starts_step(line: str) -> bool:
    return bool(REQUEST.fullmatch(line) or LOOK.fullmatch(line))
