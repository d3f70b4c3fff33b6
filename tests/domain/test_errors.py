"""The list of situations, and what a failed write means."""

import ast
import errno
import os
from pathlib import Path

import pytest

from satchel.domain import errors
from satchel.domain.errors import SITUATIONS, VOLUME_FULL, VOLUME_NOT_WRITABLE, Fault, Later, Situation, storage_fault


def lines() -> list[str]:
    """The slug of every situation that the module writes down, in its order."""
    calls = [node for node in ast.walk(ast.parse(Path(errors.__file__).read_text("utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Situation"]
    return [str(ast.literal_eval(call.args[0])) for call in named]


def test_every_situation_is_found_by_its_slug_and_no_slug_serves_two() -> None:
    assert len(lines()) > 20
    assert list(SITUATIONS) == lines()
    assert all(situation.slug == slug for slug, situation in SITUATIONS.items())


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=lambda situation: situation.slug)
def test_a_situation_has_a_slug_a_code_a_title_and_an_error_status(situation: Situation) -> None:
    assert situation.slug == situation.slug.lower().replace("_", "-").strip("-")
    assert 400 <= situation.status < 600
    assert situation.code > 0
    assert situation.title


def test_one_code_has_one_title() -> None:
    titles: dict[int, set[str]] = {}
    for situation in SITUATIONS.values():
        titles.setdefault(situation.code, set()).add(situation.title)
    assert {code: found for code, found in titles.items() if len(found) > 1} == {}


def test_faults_and_laters_say_what_happened() -> None:
    fault, later = Fault(VOLUME_FULL, "why"), Later(VOLUME_FULL, "why", 7.0)
    assert (fault.situation, fault.details, str(fault)) == (VOLUME_FULL, "why", "volume-full: why")
    assert (later.situation, later.details, later.after, str(later)) == (VOLUME_FULL, "why", 7.0, "volume-full: why")
    assert not isinstance(fault, Later)
    assert not isinstance(later, Fault)


@pytest.mark.parametrize(
    ("number", "situation"),
    [
        (errno.ENOSPC, VOLUME_FULL),
        (errno.EDQUOT, VOLUME_FULL),
        (errno.EACCES, VOLUME_NOT_WRITABLE),
        (errno.EPERM, VOLUME_NOT_WRITABLE),
        (errno.EROFS, VOLUME_NOT_WRITABLE),
    ],
)
def test_a_full_or_read_only_disk_is_a_fault_that_names_what_was_not_written(number: int, situation: Situation) -> None:
    fault = storage_fault(OSError(number, os.strerror(number)), "shared/x")
    assert isinstance(fault, Fault)
    assert fault.situation is situation
    assert "shared/x" in fault.details


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.EINTR])
def test_any_other_error_stays_what_it_is(number: int) -> None:
    error = OSError(number, os.strerror(number))
    assert storage_fault(error, "shared/x") is error
