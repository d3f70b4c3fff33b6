"""Runs cases against a back end: fills in variables, sends, compares."""

import asyncio
import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from .cases import Case, Step
from .holes import body_differs, differs

TESTS = Path(__file__).parents[1]
VARIABLE = re.compile(r"\{\{([^{}]+)\}\}")
PLAIN = re.compile(r"<(base64|hex|file|size) (.+)>")
"""Bodies that are no text, alone on their line."""


@dataclass(frozen=True)
class Request:
    """`target`: as it goes out, percent signs and doubled slashes untouched."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The values of a header in one, "" where there is none."""
        return ", ".join(value for given, value in self.headers if given.lower() == name.lower())


@dataclass(frozen=True)
class Answer:
    """`headers`: each once, lower-case names; `continued`: a 100 came first."""

    status: int
    headers: dict[str, str]
    body: bytes
    continued: bool = False

    @classmethod
    def of(cls, status: int, pairs: Iterable[tuple[str, str]], body: bytes, continued: bool = False) -> Self:
        """From headers as they came: the values of one that came twice are joined."""
        headers: dict[str, str] = {}
        for name, value in pairs:
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        return cls(status, headers, body, continued)


class BackEnd(Protocol):
    """Somebody who answers. `token`: an administrator's; `volume`: the media volume's folder."""

    @property
    def token(self) -> str: ...

    @property
    def volume(self) -> Path: ...

    async def exchange(self, request: Request) -> Answer: ...


async def run(case: Case, back_end: BackEnd) -> None:
    """Raises `AssertionError` that names file and line of the step that went wrong."""
    await asyncio.gather(*(_run_once(case, back_end) for _ in range(case.parallel)))


async def _run_once(case: Case, back_end: BackEnd) -> None:
    captured = {"token": back_end.token}
    for step in case.steps:
        trouble = await _look(step, back_end, captured) if step.method.islower() else await _exchange(step, back_end, captured)
        if trouble:
            raise AssertionError(f"{case.file.name}:{step.line}: {step.method} {step.path}: {trouble}")


async def _exchange(step: Step, back_end: BackEnd, captured: dict[str, str]) -> str:
    answer = await back_end.exchange(request_of(step, captured))
    said = [] if step.status == answer.status else [f"wanted {step.status}, found {answer.status} {answer.body[:400]!r}"]
    if step.continued != answer.continued:
        said.append(f"HTTP 100 {'wanted' if step.continued else 'not wanted'} before the answer")
    said += [_header_differs(name, filled(value, captured), answer, captured) for name, value in step.wanted_headers]
    said.append(_body_differs(filled(step.wanted, captured), answer.body, captured))
    return "; ".join(filter(None, said))


def _header_differs(name: str, wanted: str, answer: Answer, captured: dict[str, str]) -> str:
    found = answer.headers.get(name.lower())
    if wanted == "<absent>":
        return "" if found is None else f"{name} is not wanted: {found!r}"
    said = differs(wanted, found, captured) if found is not None else "missing"
    return said and f"{name}: {said}"


def _body_differs(wanted: str, found: bytes, captured: dict[str, str]) -> str:
    if PLAIN.fullmatch(wanted):
        return "" if body_of(wanted) == found else f"wanted the bytes of {wanted}, found {len(found)} others"
    return body_differs(wanted, found, captured)


async def _look(step: Step, back_end: BackEnd, captured: dict[str, str]) -> str:
    path = back_end.volume / filled(step.path, captured)
    if not path.is_file():
        return "there is no such file"
    if step.method == "cat":
        return _body_differs(filled(step.wanted, captured), path.read_bytes(), captured)
    path.unlink()
    return ""


def request_of(step: Step, captured: dict[str, str]) -> Request:
    """What goes out. Content-Length is added where a body has none and is not chunked; nothing else is."""
    multipart = any(name.lower() == "content-type" and value.startswith("multipart/") for name, value in step.headers)
    body = b"" if step.body is None else body_of(filled(step.body, captured), "\r\n" if multipart else "\n")
    headers = tuple((name, filled(value, captured)) for name, value in step.headers)
    if step.body is not None and not {name.lower() for name, _ in headers} & {"content-length", "transfer-encoding"}:
        headers += (("Content-Length", str(len(body))),)
    return Request(step.method, filled(step.path, captured), headers, body)


def body_of(text: str, line_end: str = "\n") -> bytes:
    """The bytes that a body in a file stands for."""
    makers: dict[str, Callable[[str], bytes]] = {
        "base64": base64.b64decode,
        "hex": bytes.fromhex,
        "file": lambda name: (TESTS / name).read_bytes(),
        "size": lambda size: b"x" * int(size),
    }
    if found := PLAIN.fullmatch(text):
        return makers[found[1]](found[2])
    return "".join(line + line_end for line in text.split("\n")).encode() if line_end == "\r\n" else text.encode()


def filled(text: str, captured: dict[str, str]) -> str:
    """{{name}} becomes what was captured, {{user:password}} what HTTP Basic makes of it."""

    def value(found: re.Match[str]) -> str:
        return base64.b64encode(found[1].encode()).decode() if ":" in found[1] else captured[found[1]]

    return VARIABLE.sub(value, text)
