"""What the node says of itself: the root, health, and who may look."""

from typing import Any

import pytest

from satchel.db import Database, hosts
from satchel.db.hosts import Host
from satchel.domain import limits
from satchel.domain.room import LEVELS
from satchel.webapp.health import told

from .conftest import Door, opened

pytestmark = pytest.mark.anyio
KEY = "a key for looking 42"


def core(name: str, upstream: str | None = "connected") -> Host:
    return Host(name, "core", 0.1, {"upstream": upstream} if upstream else {})


async def beat(db: Database, name: str, role: str, stats: dict[str, Any]) -> None:
    await db.write(lambda tx: hosts.beat(tx, name, role, "0", stats))


def code_of(body: Any) -> int:
    """Of an error in the form of On-Premises or in ours."""
    return int(body["onprem_code"] if "onprem_code" in body else body["errors"][0]["code"])


async def test_the_root_answers_anybody(door: Door) -> None:
    answer = await door.http.get("/", headers={"Authorization": ""})
    assert (answer.status_code, set(answer.json())) == (200, {"meta"})


async def test_health_follows_the_beats_of_coreapp(fresh: Door) -> None:
    assert (await fresh.http.get("/v1/health")).json()["health"] == {"gateway_status": "disconnected"}
    await beat(fresh.ports.db, "h.1f.core.0", "core", {"upstream": "connecting"})
    await beat(fresh.ports.db, "h.1f.web.0", "web", {})
    answer = await fresh.http.get("/v1/health")
    assert (answer.status_code, answer.json()["health"]) == (200, {"gateway_status": "connecting"})
    assert answer.json()["meta"]["version"].startswith("v2.")


async def test_a_coreapp_that_has_not_beaten_for_five_seconds_is_gone(fresh: Door) -> None:
    await beat(fresh.ports.db, "h.1f.core.0", "core", {"upstream": "connected"})
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE host SET beat_at = :now - 6"))
    assert (await fresh.http.get("/v1/health")).json()["health"] == {"gateway_status": "disconnected"}


async def test_several_coreapps_are_told_apart(fresh: Door) -> None:
    await beat(fresh.ports.db, "b.example.1f.core.0", "core", {"upstream": "disconnected"})
    await beat(fresh.ports.db, "a.1f.core.1", "core", {"upstream": "connected"})
    assert (await fresh.http.get("/v1/health")).json()["health"] == {
        "a:1f.core.1": {"gateway_status": "connected", "role": "primary_master"},
        "b.example:1f.core.0": {"gateway_status": "disconnected", "role": "coreapp"},
    }


@pytest.mark.parametrize("said", [None, "half way"])
def test_a_state_that_nobody_knows_is_uninitialized(said: str | None) -> None:
    assert told([core("h.1f.core.0", said)]) == {"gateway_status": "uninitialized"}


@pytest.mark.parametrize("path", ["/v1/health", "/_satchel/v1/health", "/metrics", "/v1/metrics", "/v1/stats/app", "/v1/stats/db"])
async def test_a_token_or_the_key_opens_and_nothing_else(fresh: Door, path: str) -> None:
    environ = {**fresh.place.environ, "SATCHEL_WEBAPP__API_KEY": KEY}
    async with opened(type(fresh.place)(fresh.place.data_dir, environ)) as keyed:
        for given, status in {
            keyed.http.headers["Authorization"]: 200,
            f"Apikey {KEY}": 200,
            f"apikey {KEY}": 200,
            f"Apikey {KEY}x": 401,
            "Apikey ": 401,
            f"Bearer {KEY}": 401,
            "": 401,
        }.items():
            answer = await keyed.http.get(path, headers={"Authorization": given})
            assert answer.status_code == status, given
            assert status == 200 or code_of(answer.json()) == 1005
        assert (await keyed.http.get("/v1/settings/application", headers={"Authorization": f"Apikey {KEY}"})).status_code == 401
    assert (
        await fresh.http.get(path, headers={"Authorization": "Apikey "})
    ).status_code == 401  # no key is set: an empty one opens nothing


async def test_p17_health_in_detail_tells_the_room_and_what_each_coreapp_sees(fresh: Door) -> None:
    await beat(fresh.ports.db, "h.1f.core.0", "core", {"upstream": "connected", "volume": {"level": "full", "told": "99 % full"}})
    await beat(fresh.ports.db, "h.1f.core.1", "core", {"upstream": "connected"})
    told = (await fresh.http.get("/_satchel/v1/health")).json()["health"]
    assert [(core["id"], core["upstream"], core["volume"]) for core in told["coreapps"]] == [
        ("h.1f.core.0", "connected", "full"),
        ("h.1f.core.1", "connected", None),
    ]
    volume = told["volume"]
    assert volume["level"] in LEVELS
    assert 0 < volume["full_below"] < volume["uploads_refused_below"] < volume["total"]
    assert (volume["waiting_for_room"], volume["wait_for_room"]) == (0, 600)


async def test_p17_health_in_detail_of_a_tight_volume_and_of_none(fresh: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESERVE_SHARE", 1.0)
    monkeypatch.setattr(limits, "RESERVE_BYTES", 1 << 60)
    volume = (await fresh.http.get("/_satchel/v1/health")).json()["health"]["volume"]
    assert (volume["level"] in {"uploads_refused", "full"}, "uploads are refused" in volume["stops"], "% full" in volume["details"]) == (
        True,
    ) * 3
    (fresh.place.data_dir / "media" / ".satchel-volume").unlink()
    volume = (await fresh.http.get("/_satchel/v1/health")).json()["health"]["volume"]
    assert (volume["level"], "mount it" in volume["details"], "total" in volume) == ("missing", True, False)
    assert (await fresh.http.get("/_satchel/v1/health", headers={"Authorization": ""})).status_code == 401
