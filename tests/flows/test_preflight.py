"""What the checks find."""

import io
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from satchel import build, upstream
from satchel.db import Database, hosts, messages, providers, schema, users
from satchel.db.providers import Provider
from satchel.domain import limits
from satchel.domain.messages import Outgoing
from satchel.domain.users import ADMIN
from satchel.egress import Egress
from satchel.flows import access, application, preflight
from satchel.upstream.sandbox import Sandbox

from ..conftest import Place
from ..journeys.running import Hook, free_port
from ..sandbox import running as sandbox

pytestmark = pytest.mark.anyio


async def test_a_database_is_current_or_the_check_says_what_it_lacks(place: Place, db: Database) -> None:
    fine = await preflight.database(db, await schema.pending(db))
    assert fine.level == "ok"
    assert {"sqlite": "SQLite 3.", "postgres": "PostgreSQL "}[place.kind] in fine.text
    behind = await preflight.database(db, ["0009_next.sql"])
    assert (behind.level, "0009_next.sql: run satchel migrate" in behind.text) == ("problem", True)


async def test_a_clock_that_is_off_is_a_warning(place: Place, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await preflight.clock(db)).level == "ok"
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 7)
    found = await preflight.clock(db)
    if place.kind == "sqlite":  # the same clock
        assert found.level == "ok"
    else:
        assert (found.level, "7.0 s behind the database" in found.text) == ("warning", True)


async def test_credentials_that_go_to_any_host_are_a_warning(db: Database) -> None:
    assert await preflight.providers(db) == preflight.Finding("ok", "no media provider")
    await db.write(lambda tx: providers.keep(tx, Provider("bound", bearer="SECRET", hosts=("files.example.com",)), "admin"))
    assert (await preflight.providers(db)).level == "ok"
    await db.write(lambda tx: providers.keep(tx, Provider("loose", bearer="SECRET"), "admin"))
    found = await preflight.providers(db)
    assert (found.level, "loose without hosts" in found.text, "bound" in found.text) == ("warning", True, False)
    assert "SECRET" not in found.text


async def test_an_open_factory_door_is_told(db: Database) -> None:
    await access.first_admin(db, "Quay-Lantern-41", door=True)
    assert 'with the password "secret", as On-Premises wanted at first, may set a new one, once' in (await preflight.admin(db)).text
    await access.close_factory_door(db)
    assert "is refused" in (await preflight.admin(db)).text


async def test_a_factory_or_an_empty_password_is_a_problem(db: Database) -> None:
    assert "no administrator" in (await preflight.admin(db)).text
    await access.first_admin(db, "Quay-Lantern-41")
    for password, level in (("secret", "problem"), ("", "problem"), ("Quay-Lantern-42", "ok")):
        hashed = await access.hashed(password)
        await db.write(lambda tx, hashed=hashed: users.change_password(tx, ADMIN, hashed))  # type: ignore[misc]
        assert (await preflight.admin(db)).level == level


async def test_a_webhook_is_knocked_at_and_its_secrets_stay_untold(db: Database) -> None:
    egress, hook = Egress(), Hook()
    try:
        assert (await preflight.webhook(db, egress)).level == "warning"
        await application.change(db, {"webhooks": {"url": f"{hook.url}?key=geheim"}}, "test")
        found = await preflight.webhook(db, egress)
        assert (found.level, hook.bodies) == ("ok", [])
        assert found.text.endswith(": reachable; try satchel webhook test")
        assert "geheim" not in found.text
        for url, why in (
            (f"http://user:geheim@127.0.0.1:{free_port()}/hook", "nobody listens"),
            ("http://nowhere.invalid/hook", "does not resolve"),
        ):
            await application.change(db, {"webhooks": {"url": url}}, "test")
            found = await preflight.webhook(db, egress)
            assert (found.level, why in found.text, "geheim" in found.text) == ("problem", True, False)
    finally:
        await egress.close()
        hook.close()


def everything(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


async def test_a_volume_is_tried_out_and_left_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = place.settings
    async with build.opened(settings, "web") as node:
        before = everything(settings.volume_path)
        fine = await preflight.volume(node.ports.volume, settings.volume_path, 1.0)
        assert (fine.level, everything(settings.volume_path)) == ("ok", before)
        full = await preflight.volume(node.ports.volume, settings.volume_path, 0.000001)
        assert (full.level, "high-water mark" in full.text) == ("warning", True)
        monkeypatch.setattr(limits, "RESERVE_SHARE", 1.0)
        monkeypatch.setattr(limits, "RESERVE_BYTES", 1 << 62)
        refusing = await preflight.volume(node.ports.volume, settings.volume_path, 1.0)
        assert (refusing.level, "uploads are refused" in refusing.text) == ("problem", True)
        (settings.volume_path / "parts").rmdir()
        (settings.volume_path / "parts").write_text("in the way")
        broken = await preflight.volume(node.ports.volume, settings.volume_path, 1.0)
        assert (broken.level, "cannot be written to" in broken.text) == ("problem", True)
        (settings.volume_path / ".satchel-volume").write_text("another")
        foreign = await preflight.volume(node.ports.volume, settings.volume_path, 1.0, ", or look elsewhere")
        assert (foreign.level, "mount it, or look elsewhere" in foreign.text) == ("problem", True)


async def test_messages_that_wait_are_counted_and_an_old_one_is_a_warning(db: Database) -> None:
    assert await preflight.messages(db) == preflight.Finding("ok", "none waits to be sent")
    outgoing = Outgoing("12025550111", "text", text="hello")
    for number in range(2):
        await db.write(lambda tx, number=number: messages.add(tx, f"m{number}", outgoing, "sandbox", None, 0.0))  # type: ignore[misc]
    fresh = await preflight.messages(db)
    assert (fresh.level, fresh.text.startswith("2 wait to be sent, the oldest since ")) == ("ok", True)
    await db.write(lambda tx: tx.run("UPDATE message SET accepted_at = :at WHERE id = 'm0'", at=time.time() - 3600))
    old = await preflight.messages(db)
    hour = datetime.fromtimestamp(time.time() - 3600, UTC).strftime("%Y-%m-%dT%H")
    assert (old.level, f"the oldest since {hour}" in old.text, "log of Coreapp" in old.text) == ("warning", True, True)


async def test_looking_makes_nothing(place: Place) -> None:
    if place.kind == "postgres":
        async with build.looked_at(place.settings) as looked:
            assert looked.pending == [migration.name for migration in schema.migrations()]
            assert not await looked.volume.present()
        async with build.looked_at(place.settings) as looked:
            assert looked.pending
    assert everything(place.data_dir) == []


async def test_an_upstream_that_coreapps_have_lost_is_told_with_the_reason(db: Database) -> None:
    await db.write(lambda tx: hosts.beat(tx, "host.core.0", "core", "1", {"upstream": "disconnected"}))
    async with sandbox.running("http://127.0.0.1:9") as network:
        for secret, why in (
            ("another", "its secret is another one"),
            ("", "no secret is set here"),
            (sandbox.SECRET, "From here it can be reached; the log of Coreapp says why."),
        ):
            engine = Sandbox(upstream.Config(url=network.url, secret=secret), lambda size: io.BytesIO(), lambda path: path.open("rb"))
            found = await preflight.upstream(db, engine)
            await engine.close()
            assert (found.level, "not connected from host.core.0" in found.text, why in found.text) == ("problem", True, True), found
