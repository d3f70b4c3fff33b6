"""The password rule, and passwords made for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain import passwords
from satchel.domain.errors import PARAMETER_INVALID, Fault


@pytest.mark.parametrize("fits", ["Quay-42x", "aB3!" * 16, "aB3! with blanks", "Zürich-7", "aB3\U0001f512aB3x"])
def test_a_password_of_the_rule_is_taken(fits: str) -> None:
    passwords.check(fits)


@pytest.mark.parametrize(
    "wrong", ["", "aB3!xyz", "aB3!" * 16 + "x", "quay-lantern-42", "QUAY-LANTERN-42", "Quay-Lantern", "QuayLantern42", "Quay Lantern 42"]
)
def test_a_password_that_misses_one_part_of_the_rule_is_refused_and_not_repeated(wrong: str) -> None:
    with pytest.raises(Fault) as caught:
        passwords.check(wrong)
    assert caught.value.situation is PARAMETER_INVALID
    assert passwords.RULE in caught.value.details
    assert not wrong or wrong not in str(caught.value)


@given(st.text())
def test_nothing_but_a_fault_is_raised(given: str) -> None:
    try:
        passwords.check(given)
    except Fault as fault:
        assert fault.situation is PARAMETER_INVALID


def test_generated_passwords_fit_differ_and_need_no_quoting() -> None:
    made = {passwords.generate() for _ in range(300)}
    assert len(made) == 300
    for password in made:
        passwords.check(password)
        assert all(char.isascii() and (char.isalnum() or char == "-") for char in password)
