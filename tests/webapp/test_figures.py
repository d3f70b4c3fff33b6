"""/metrics and its JSON forms: this Webapp's figures, those of the others, and nothing that a caller chose."""

from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parsed

from satchel.db import callbacks, hosts
from satchel.db.callbacks import News
from satchel.observe.figures import Family, Sample
from satchel.webapp.figures import text

from .conftest import Door

pytestmark = pytest.mark.anyio


async def scraped(door: Door, path: str = "/metrics") -> dict[str, Metric]:
    answer = await door.http.get(path)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in parsed(answer.text)}


def value(family: Metric, **labels: str) -> float:
    (found,) = [sample.value for sample in family.samples if labels.items() <= sample.labels.items()]
    return found


async def figure(door: Door, path: str, name: str, **labels: str) -> float:
    body: Any = (await door.http.get(path)).json()
    entries = body["metrics"] if "metrics" in body else next(iter(body["stats"].values()))
    (found,) = [item["value"] for item in entries[name]["data"] if labels.items() <= item["labels"].items()]
    return float(found)


async def test_a_request_is_counted_under_its_route(fresh: Door) -> None:
    unknown = "/v1/media/0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"
    await fresh.http.get(unknown)
    name, labels = "api_requests_duration_ms_count", {"method": "GET_v1_media_id", "result": "404", "node": "web"}
    before = await figure(fresh, "/v1/metrics", name, **labels)
    await fresh.http.get(unknown)
    await fresh.http.get(unknown + "/")
    assert await figure(fresh, "/v1/metrics", name, **labels) == before + 2


async def test_no_label_holds_what_a_caller_chose(fresh: Door) -> None:
    await fresh.http.get("/v1/nothing-chosen-here")
    await fresh.http.request("CHOSEN", "/v1/media", content=b"")
    await fresh.http.get("/v1/media/chosen")
    await fresh.upload(mime="text/chosen")
    assert "chosen" not in (await fresh.http.get("/metrics")).text.lower()
    assert await figure(fresh, "/v1/metrics", "endpoint_requests", method="other") >= 1
    assert await figure(fresh, "/v1/metrics", "endpoint_requests", method="other_v1_media") >= 1


async def test_uploads_are_measured(fresh: Door) -> None:
    await fresh.upload()
    before = await figure(fresh, "/v1/metrics", "satchel_media_upload_bytes_sum")
    await fresh.upload(b"x" * 1000)
    assert await figure(fresh, "/v1/metrics", "satchel_media_upload_bytes_sum") == before + 1000


async def test_other_processes_are_shown_while_they_live(fresh: Door) -> None:
    figures = {"callback_requests": [["", {"result": "success", "type": "status_change"}, 7.0]], "satchel_of_tomorrow": [["", {}, 1.0]]}
    await fresh.ports.db.write(lambda tx: hosts.beat(tx, "h.1f.core.0", "core", "0", {"upstream": "connected", "metrics": figures}))
    found = await scraped(fresh)
    assert value(found["callback_requests"], node="h.1f.core.0", result="success") == 7
    assert "satchel_of_tomorrow" not in found
    assert await figure(fresh, "/v1/stats/app", "callback_requests", node="h.1f.core.0") == 7
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE host SET beat_at = :now - 6"))
    again = await scraped(fresh)
    assert "h.1f.core.0" not in {sample.labels["node"] for family in again.values() for sample in family.samples}


async def test_what_waits_and_how_long(fresh: Door) -> None:
    assert await figure(fresh, "/v1/stats/app", "callback_queue_size") == 0
    assert await figure(fresh, "/v1/stats/app", "satchel_pipeline_oldest_seconds", stage="callback") == 0
    news = [News(f"n{number}", "12025550111", {"statuses": []}) for number in range(3)]
    await fresh.ports.db.write(lambda tx: callbacks.put_down(tx, news, url_set=True))
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE callback SET created_at = created_at - 90 WHERE cause = 'n1'"))
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE callback SET state = 'done', created_at = created_at - 900 WHERE cause = 'n0'"))
    assert await figure(fresh, "/v1/stats/app", "callback_queue_size") == 2
    assert 90 <= await figure(fresh, "/v1/stats/app", "satchel_pipeline_oldest_seconds", stage="callback") < 100
    assert await figure(fresh, "/v1/stats/db", "satchel_db_rows", table="callback") == 3
    assert await figure(fresh, "/v1/stats/db", "satchel_db_bytes") > 4096


async def test_room_on_the_volume_and_none_where_there_is_no_volume(fresh: Door) -> None:
    total, free = [await figure(fresh, "/v1/stats/app", "satchel_volume_bytes", kind=kind) for kind in ("total", "free")]
    assert 0 < free < total
    assert 0 < await figure(fresh, "/v1/stats/app", "satchel_volume_free_ratio") < 1
    assert 0 < await figure(fresh, "/v1/stats/app", "satchel_volume_bytes", kind="reserve") < total
    assert await figure(fresh, "/v1/stats/app", "satchel_volume_level") < 4
    media = fresh.place.data_dir / "media"
    media.rename(fresh.place.data_dir / "away")
    body = (await fresh.http.get("/v1/stats/app")).json()["stats"]["app"]
    assert "satchel_volume_free_ratio" not in body
    assert "satchel_volume_bytes" not in body
    assert body["satchel_volume_level"]["data"][0]["value"] == 5
    assert "satchel_pipeline_queue" in body


async def test_the_parts_of_stats_do_not_mix(fresh: Door) -> None:
    app = (await fresh.http.get("/v1/stats/app")).json()["stats"]["app"]
    db = (await fresh.http.get("/v1/stats/db")).json()["stats"]["db"]
    assert all(name.startswith(("db_", "satchel_db_")) for name in db)
    assert {"db_request_duration_us_count", "db_request_duration_us_sum"} <= set(db)
    assert not any(name.startswith(("db_", "satchel_db_", "web_", "api_")) for name in app)
    (entry,) = {item["type"] for name, item in db.items() if name == "db_request_duration_us_count"}
    assert entry == "counter"


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/stats/app", "/v1/stats/db"])
async def test_json_or_text_as_asked_for(door: Door, path: str) -> None:
    assert (await door.http.get(path)).headers["content-type"] == "application/json"
    assert (await door.http.get(path, headers={"Accept": "text/plain"})).headers["content-type"].startswith("text/plain")
    assert (await door.http.get(path, params={"format": "prometheus"})).headers["content-type"].startswith("text/plain")
    asked = await door.http.get(path, params={"format": "json"}, headers={"Accept": "text/plain"})
    assert asked.headers["content-type"] == "application/json"


def test_a_label_with_signs_survives_the_text() -> None:
    odd = 'a "quoted" back\\slash\nand a line'
    (family,) = parsed(text([Family("x", "gauge", "Help.", [Sample("x", {"node": odd}, 1.5)])]))
    assert (family.samples[0].labels, family.samples[0].value) == ({"node": odd}, 1.5)
