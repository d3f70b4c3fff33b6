"""Every case of every `.http` file here, in this process on both engines and over a socket; and the rules they must name."""

import re
from pathlib import Path
from typing import Any

import pytest

from ..docs import named
from .cases import Case
from .conftest import Opener
from .parse import parse
from .run import run

pytestmark = pytest.mark.anyio
FILES = sorted(Path(__file__).parent.glob("*.http"))
CASES = [case for file in FILES for case in parse(file)]
TABLES = Path(__file__).with_name("rules.md").read_text(encoding="utf-8")
RULES = re.findall(r"^\| ([CP]\d\d) \| [^|]+ \|$", TABLES, re.MULTILINE)
SHOWN_ELSEWHERE = re.findall(r"^\| (C\d\d) \| [^|]+ \| (`test_.+`) \|$", TABLES, re.MULTILINE)
HABITS = [f"C{number:02}" for number in range(1, 23)]


def params(live: bool) -> list[Any]:
    chosen = [case for case in CASES if live or not case.live]
    return [pytest.param(case, id=f"{case.file.stem}-{'-'.join(case.rules)}-{case.name}") for case in chosen]


@pytest.mark.parametrize("case", params(live=False))
async def test_the_application_answers_as_the_case_says(case: Case, open_in_process: Opener) -> None:
    async with open_in_process(case.settings) as back_end:
        await run(case, back_end)


@pytest.mark.parametrize("case", params(live=True))
async def test_a_server_answers_as_the_case_says(case: Case, open_live: Opener) -> None:
    async with open_live(case.settings) as back_end:
        await run(case, back_end)


def test_every_rule_has_a_case_and_no_case_another_rule() -> None:
    assert sorted({rule for case in CASES for rule in case.rules}) == RULES


def test_every_habit_of_old_clients_has_a_case_or_a_test_of_its_name() -> None:
    assert sorted({*filter(HABITS.__contains__, RULES), *(rule for rule, _ in SHOWN_ELSEWHERE)}) == HABITS
    there = named.in_file(Path(__file__).with_name("test_old_clients.py"))
    for rule, shown in SHOWN_ELSEWHERE:
        for test in re.findall(r"`(\w+)`", shown):
            assert test in there and test.startswith(f"test_{rule.lower()}_"), f"{rule} names {test}"
    assert there == {test for _, shown in SHOWN_ELSEWHERE for test in re.findall(r"`(\w+)`", shown)}


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
