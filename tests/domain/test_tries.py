"""How long lanes wait between two tries."""

from satchel.domain.tries import wait_after


def test_each_wait_is_twice_as_long_up_to_the_longest() -> None:
    assert [wait_after(attempts) for attempts in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert wait_after(6, longest=30.0) == 30.0


def test_after_very_many_tries_it_is_still_the_longest() -> None:
    assert wait_after(100_000) == 15.0
