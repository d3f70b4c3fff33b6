"""What is in the database file itself, beside what statements see of it, and what waiting for it costs."""

import asyncio
import secrets
from pathlib import Path

import pytest

from satchel.db import Tx, lanes, remotes, schema
from satchel.db.remotes import Remote
from satchel.db.sqlite import POLL, Sqlite

pytestmark = pytest.mark.anyio


async def test_the_key_of_a_deleted_media_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    path = tmp_path / "satchel.db"
    db = Sqlite(path)
    await schema.migrate(db)
    keys = {f"m{number}": secrets.token_hex(32) for number in range(300)}

    def add(tx: Tx) -> None:
        for media_id, key in keys.items():
            remotes.add(tx, Remote(media_id, media_id, "12025550130", "image", 1, f'{{"key":"{key}"}}'), "image/jpeg", "", 0.0)

    def forget(tx: Tx) -> None:
        for media_id in list(keys)[:-1]:
            remotes.forget(tx, media_id)

    await db.write(add)
    await db.write(forget)
    await db.close()  # the last one out writes everything into the file itself
    data = path.read_bytes()
    assert [media_id for media_id, key in keys.items() if key.encode() in data] == ["m299"]


async def test_notices_do_not_leave_others_looking_for_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Sqlite(tmp_path / "satchel.db")
    await schema.migrate(db)
    looks = 0

    def changed() -> bool:
        nonlocal looks
        looks += 1
        return False

    monkeypatch.setattr(db, "_changed", changed)
    for number in range(50):
        waiting = asyncio.create_task(db.wait(30.0))
        await asyncio.sleep(0)  # it has begun
        await db.write(lambda tx, number=number: lanes.wake(tx, f"{number}", "k"))  # type: ignore[misc]
        await waiting
    looks = 0
    await db.wait(0.3)
    assert 1 <= looks <= 0.3 / POLL + 2
    await db.close()
