"""The table of the page's statements: each has a line, a place, and tests that exist under its number."""

import re
from pathlib import Path

import pytest

from . import named
from .test_docs import ROOT, rows

PAGE = ROOT / "docs/reference/media-page.md"
NUMBERS = [f"P{number:02}" for number in range(1, 27)]
ROWS = [row for row in rows("docs/reference/media-page.md") if row[0].startswith("P")]
TEST = re.compile(r"\[(test_\w+)\]\(([^)]+)\)")


def numbers(test: str) -> set[str]:
    """P21 and P22 of test_p21_p22_captions."""
    return {f"P{number}" for number in re.findall(r"p(\d\d)(?=_)", re.match(r"test((?:_p\d\d)*_)?", test)[0])}  # type: ignore[index]


def test_every_statement_has_its_line_in_their_order() -> None:
    assert [row[0] for row in ROWS] == NUMBERS


def test_every_statement_has_a_test_of_its_name() -> None:
    assert set(NUMBERS) - {number for test in named.anywhere() for number in numbers(test)} == set()


def test_no_test_is_named_after_a_statement_that_does_not_exist() -> None:
    assert {number for test in named.anywhere() for number in numbers(test)} - set(NUMBERS) == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_line_names_a_place_and_tests_that_are_run(row: list[str]) -> None:
    number, said, where, shown = row
    found = TEST.findall(shown)
    assert said and where and found
    for test, target in found:
        file = (PAGE.parent / target).resolve()
        assert number in numbers(test), f"{test} stands in the line of {number}"
        assert test in named.in_file(file), f"{file.relative_to(ROOT)} has no {test} that make test runs"
        assert Path(target).name.startswith("test_")
