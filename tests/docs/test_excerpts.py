"""What the pages show of the wire is what the contract tests run: each ```http block names a case and is whole steps of it."""

import re
from collections.abc import Iterator

import pytest

from ..contract.cases import Case
from ..contract.test_contract import CASES
from .test_docs import PAGES

NAMED = {case.name: case for case in CASES}
MAIN_CALLS = {"login-without-body", "upload-raw", "download", "delete", "send", "error-envelope"}


def excerpts() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        for name, block in re.findall(r"^```http *(.*?)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            yield page.name, name, block.strip()


def quotes(block: str, case: Case) -> bool:
    """Whether the block is steps of the case, none of them cut off."""
    starts = [at for at, line in enumerate(case.text.split("\n")) if line in {f"{step.method} {step.path}" for step in case.steps}]
    lines = case.text.split("\n")
    steps = ["\n".join(lines[start:end]).strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
    runs = {"\n\n".join(steps[first:last]) for first in range(len(steps)) for last in range(first + 1, len(steps) + 1)}
    return block in runs


@pytest.mark.parametrize(("page", "name", "block"), [pytest.param(*found, id=f"{found[0]}-{found[1]}") for found in excerpts()])
def test_an_excerpt_is_what_the_case_says(page: str, name: str, block: str) -> None:
    assert name in NAMED, f"{page} quotes {name!r}, which is no case of tests/contract"
    assert quotes(block, NAMED[name]), f"{page} and {NAMED[name].file.name}:{NAMED[name].line} differ"


def test_the_main_calls_are_shown() -> None:
    assert MAIN_CALLS - {name for page, name, _ in excerpts() if page == "http.md"} == set()
