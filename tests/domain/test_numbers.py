"""Telephone numbers in every form that people write them in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain.errors import PARAMETER_INVALID, Fault
from satchel.domain.numbers import wa_id

DIGITS = st.text("0123456789", min_size=7, max_size=15)


@pytest.mark.parametrize(
    "written", ["12025550111", "+12025550111", "+1 (202) 555-0111", "1.202.555.0111", " 1-202-555-0111 ", "(+1)2025550111"]
)
def test_every_human_form_is_the_same_number(written: str) -> None:
    assert wa_id(written) == "12025550111"


@given(DIGITS, st.lists(st.tuples(st.integers(0, 15), st.sampled_from("+-(). ")), max_size=10))
def test_signs_between_the_digits_change_nothing(digits: str, signs: list[tuple[int, str]]) -> None:
    written = list(digits)
    for at, sign in signs:
        written.insert(at, sign)
    assert wa_id("".join(written)) == digits


@given(st.text())
def test_whatever_is_given_comes_out_as_7_to_15_ascii_digits_or_is_refused(given: str) -> None:
    try:
        number = wa_id(given)
    except Fault as fault:
        assert fault.situation is PARAMETER_INVALID
        assert len(fault.details) < 400
    else:
        assert number.isascii() and number.isdigit()
        assert 7 <= len(number) <= 15


@pytest.mark.parametrize(
    "wrong", ["", "+", "123456", "1" * 16, "12025550111\n", "1202555011a", "١٢٠٢٥٥٥٠١١١", "1\t2025550111", "12025550111;"]
)
def test_what_is_no_number_is_refused(wrong: str) -> None:
    with pytest.raises(Fault) as caught:
        wa_id(wrong)
    assert caught.value.situation is PARAMETER_INVALID
