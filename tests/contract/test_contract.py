"""Every case of every `.http` file here, in this process on both engines and over a socket; and the rules they must name."""

from pathlib import Path
from typing import Any

import pytest

from .cases import Case
from .conftest import Opener
from .parse import parse
from .run import run

pytestmark = pytest.mark.anyio
FILES = sorted(Path(__file__).parent.glob("*.http"))
CASES = [case for file in FILES for case in parse(file)]
RULES = {f"C{number:02}" for number in (*range(1, 12), 13, 14, 17)} | {f"P{number:02}" for number in (1, 2, 3, 4, 5, 18, 26)}
"""What this folder answers for: C are the habits of old clients, P the statements of the media page."""


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


def test_every_rule_has_a_case() -> None:
    assert RULES - {rule for case in CASES for rule in case.rules} == set()


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
