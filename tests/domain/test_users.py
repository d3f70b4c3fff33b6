"""Which names a user may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain import users
from satchel.domain.errors import PARAMETER_INVALID, PARAMETER_MISSING, Fault


@pytest.mark.parametrize("name", ["shop", "admin", "a.b-c_d@e+f", "x" * 32, "1234"])
def test_a_name_of_the_rule_is_taken(name: str) -> None:
    assert users.check(name) == name


@pytest.mark.parametrize(
    "name", ["", "abc", "x" * 33, "-abc", "a:bc", "a bc", "a/bc", "shop\n", "näme", "login", "logout", 1234, ["shop"], True]
)
def test_another_name_is_refused(name: object) -> None:
    with pytest.raises(Fault, match="4 to 32 letters") as caught:
        users.check(name)
    assert caught.value.situation is PARAMETER_INVALID


def test_no_name_is_missing() -> None:
    with pytest.raises(Fault) as caught:
        users.check(None)
    assert caught.value.situation is PARAMETER_MISSING


@given(st.text())
def test_nothing_but_a_fault_is_raised(given: str) -> None:
    try:
        assert users.check(given) == given
    except Fault as fault:
        assert len(fault.details) < 250
