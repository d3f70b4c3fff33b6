"""Sizes, shares and times as people write them."""

import pytest

from satchel.domain.quantities import duration, share, shown_duration, shown_share, shown_size, size


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("104857600", 104_857_600), ("64MB", 64 << 20), ("64 MiB", 64 << 20), ("1.5g", 3 << 29), ("4 kb", 4096), (" 7 B ", 7)],
)
def test_sizes_are_powers_of_two(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


@pytest.mark.parametrize("text", ["", "MB", "-1", "1e9", "64 megs", "0x10", "1_000", "٤MB", "64MB extra"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size such as 64MB"):
        size(text)


@pytest.mark.parametrize(("text", "value"), [("85%", 0.85), ("85 %", 0.85), ("0.5", 0.5), ("100%", 1.0)])
def test_shares_are_percent_or_fractions(text: str, value: float) -> None:
    assert share(text) == value


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="is no share such as 85%"):
        share("most")


def test_sizes_and_shares_are_shown_for_people() -> None:
    assert [shown_size(n) for n in (0, 1, 17, 2048, 104_857_600, 2_254_857_830, 5 << 40)] == [
        "0 bytes", "1 byte", "17 bytes", "2 KiB", "100 MiB", "2.1 GiB", "5 TiB",
    ]  # fmt: skip
    assert (shown_share(0.85), shown_share(0.123)) == ("85 %", "12.3 %")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("14d", 1_209_600), (" 1.5 H ", 5400)])
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1w", "1d2h", "1e3s", "soon"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time such as"):
        duration(text)


@pytest.mark.parametrize("text", ["0s", "90s", "10m", "24h", "14d", "1.5s"])
def test_times_are_shown_as_they_are_read(text: str) -> None:
    assert duration(shown_duration(duration(text))) == duration(text)
    assert shown_duration(600.0) == "10m"
    assert shown_duration(86_400.0) == "1d"
