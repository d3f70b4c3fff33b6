"""Nothing that was promised is lost, doubled or out of order, whatever befalls processes, database and volume.

`make test` has a short run, `make test-slow` one of five minutes. SATCHEL_NEMESIS_SECONDS and SATCHEL_NEMESIS_SEED choose another length of
the long one, and the same troubles again.
"""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from .. import engines
from .nemesis import run
from .nemesis.chaos import KINDS

SECONDS = float(os.environ.get("SATCHEL_NEMESIS_SECONDS", "300"))
SHORT = 20.0
PATIENCE = 400
"""Seconds that starting, the end of all work and the verdicts may take besides."""
OFTEN = (*KINDS, "deletes", "inbound", "sends by link", "gone by gc", "checks")
"""What a long run must have seen once a minute."""


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "postgres":
        request.getfixturevalue("postgres_url")  # skips or fails where there is no server to have
        if engines.binaries() is None:
            pytest.skip("SATCHEL_TEST_PG names a server that this test may not kill, and there are no server programs here")
    return str(request.param)


@pytest.mark.timeout(SHORT + PATIENCE)
def test_a_short_bad_time(kind: str, tmp_path: Path) -> None:
    judge(kind, tmp_path, SHORT)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + PATIENCE)
def test_a_long_bad_time(kind: str, tmp_path: Path) -> None:
    counts = judge(kind, tmp_path, SECONDS)
    assert all(counts[what] >= SECONDS / 60 for what in OFTEN), counts


def judge(kind: str, folder: Path, seconds: float) -> Counter[str]:
    seed = int(os.environ.get("SATCHEL_NEMESIS_SEED") or random.randrange(1 << 31))
    print(f"{kind}: SATCHEL_NEMESIS_SEED={seed}")
    done = run.run(kind, folder, seconds, seed)
    print(f"{kind}: {', '.join(f'{count} {what}' for what, count in sorted(done.counts.items()))}")
    assert not done.wrong, "\n".join([*done.lines, "What befell it:", *done.story])
    assert done.counts["inbound asked for again"] <= 5 + done.counts["inbound"] / 10, done.counts  # phones have half a minute to answer
    return done.counts
