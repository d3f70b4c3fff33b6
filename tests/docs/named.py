"""The tests of this repository by name, as a page may name them. Not a test.

A file is parsed rather than collected, which takes a hundredth of the time; what pytest does not collect, or not in `make test`,
does not count.
"""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]


@cache
def in_file(file: Path) -> frozenset[str]:
    """The tests of one file that `make test` runs; a name that a later function takes over is an error."""
    if not file.name.startswith("test_"):
        return frozenset()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    functions = [one for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    twice = [name for name, times in Counter(one.name for one in functions).items() if times > 1]
    assert twice == [], f"{file.name} has two functions of this name: only the last is run"
    return frozenset(one.name for one in functions if one.name.startswith("test_") and not _slow(one))


def anywhere() -> set[str]:
    return {name for file in TESTS.rglob("test_*.py") for name in in_file(file)}


def _slow(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("mark.slow" in ast.unparse(decorator) for decorator in function.decorator_list)
