"""The store's promise: a transaction is whole or nothing, whatever its neighbours in the same commit do."""

import asyncio
from functools import partial
from pathlib import Path

import apsw
import pytest

from satchel_sandbox import world
from satchel_sandbox.errors import Refusal, invalid
from satchel_sandbox.store import Store, Tx

pytestmark = pytest.mark.anyio


def insert(tx: Tx, token: str, size: int = 1, refuse: bool = False) -> str:
    tx.execute("INSERT INTO copy VALUES (?, ?, ?, '/v/x', 0)", (token, "k" * size, size))
    if refuse:
        raise invalid("on purpose")
    return token


def tokens(tx: Tx) -> list[str]:
    return [token for (token,) in tx.execute("SELECT token FROM copy ORDER BY token")]


async def test_a_refusal_undoes_itself_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    jobs = [store.write(partial(insert, token=f"{n}", refuse=n == 1)) for n in range(3)]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert outcomes[::2] == ["0", "2"]
    assert isinstance(outcomes[1], Refusal)
    assert await store.read(tokens) == ["0", "2"]
    await store.close()


async def test_a_full_disk_answers_nobody_falsely(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    await store.write(world.load)
    await store.read(lambda tx: tx.execute("PRAGMA max_page_count = 20").fetchall())
    jobs = [store.write(partial(insert, token=f"{n}", size=50_000 if n == 2 else 1)) for n in range(5)]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(outcomes[2], apsw.FullError | apsw.AbortError)
    assert await store.read(tokens) == [token for token in outcomes if isinstance(token, str)]
    assert await store.write(lambda tx: insert(tx, "later")) == "later"
    await store.close()
