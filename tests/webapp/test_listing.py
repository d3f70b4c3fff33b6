"""What lies on the media node, listed."""

import re
import uuid
from datetime import datetime

import pytest

from satchel.db import listing
from satchel.webapp.listing import rfc3339

from .conftest import Door

pytestmark = pytest.mark.anyio
LIST = "/_satchel/v1/media"


async def listed(door: Door, query: str = "") -> list[str]:
    answer = await door.http.get(LIST + query)
    assert answer.status_code == 200, answer.text
    return [media["id"] for media in answer.json()["media"]]


async def test_a_listed_media_says_all_about_itself(fresh: Door) -> None:
    media = await fresh.upload(b"hello", "text/plain")
    answer = await fresh.http.get(LIST)
    (shown,) = answer.json()["media"]
    assert set(answer.json()) == {"media", "now", "meta"}
    assert {**shown, "created_at": "", "last_used_at": ""} == {
        "id": media,
        "direction": "up",
        "mime": "text/plain",
        "size": 5,
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "state": "live",
        "user": "admin",
        "created_at": "",
        "last_used_at": "",
        "file": str(fresh.place.data_dir / "media" / "shared" / media),
    }
    for name in ("created_at", "last_used_at"):
        assert datetime.fromisoformat(shown[name]) <= datetime.fromisoformat(answer.json()["now"])
        assert shown[name].endswith("Z")
    assert (await fresh.http.get(f"{LIST}/{media}")).json()["media"] == [shown]


async def test_pages_are_followed_by_the_link_to_the_end(fresh: Door) -> None:
    uploaded = [await fresh.upload() for _ in range(5)]
    found: list[str] = []
    url = f"{LIST}?limit=2&direction=up"
    pages = 0
    while url:
        answer = await fresh.http.get(url)
        found += [media["id"] for media in answer.json()["media"]]
        link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        url = link[1] if link else ""
        pages += 1
    assert found == uploaded[::-1]
    assert pages == 3


async def test_only_what_every_filter_lets_through_is_listed(fresh: Door) -> None:
    jpeg, song = await fresh.upload(b"1", "image/jpeg"), await fresh.upload(b"2", "Audio/OGG; codecs=opus")
    assert await listed(fresh, "?mime=image/jpeg") == [jpeg]
    assert await listed(fresh, "?mime=audio/ogg") == [song]
    assert await listed(fresh, "?mime=audio/*") == [song]
    assert await listed(fresh, "?mime=audio/og") == []
    assert await listed(fresh, "?user=admin&direction=up") == [song, jpeg]
    assert await listed(fresh, "?user=somebody") == []
    assert await listed(fresh, "?direction=in") == []


async def test_what_is_deleted_is_not_listed(fresh: Door) -> None:
    media = await fresh.upload()
    await fresh.http.delete(f"/v1/media/{media}")
    assert await listed(fresh) == []
    answer = await fresh.http.get(f"{LIST}/{media}")
    assert answer.status_code == 404
    assert re.search(r"was deleted at \d{4}-\d\d-\d\dT[0-9:.]+Z by admin\.", answer.text)
    never = await fresh.http.get(f"{LIST}/{uuid.uuid4()}")
    assert (never.status_code, "was never uploaded here" in never.text) == (404, True)


async def test_a_short_page_still_leads_on(fresh: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = await fresh.upload(b"1", "image/jpeg")
    for _ in range(3):
        await fresh.upload()
    monkeypatch.setattr(listing, "SCAN", 3)
    first = await fresh.http.get(f"{LIST}?mime=image/jpeg")
    assert first.json()["media"] == []
    second = await fresh.http.get(first.links["next"]["url"])
    assert [media["id"] for media in second.json()["media"]] == [picture]
    assert "next" not in second.links


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "after=x",
        "after=%00",
        "after=e30=",
        "after=eyJjcmVhdGVkX25ldCI6MSwiaWQiOiJcdTAwMDAifQ==",
        "direction=out",
        "user=",
        "user=%00",
        "mime=jpeg",
        "mime=%00/*",
        "mimes=image/jpeg",
    ],
)
async def test_a_bad_value_is_a_problem_that_names_the_parameter(door: Door, query: str) -> None:
    answer = await door.http.get(f"{LIST}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["onprem_code"] == 1009
    assert f"parameter {query.partition('=')[0]} is" in answer.json()["detail"]


@pytest.mark.parametrize("media", ["0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11", "x", "%00"])
async def test_an_unknown_media_is_a_problem(door: Door, media: str) -> None:
    answer = await door.http.get(f"{LIST}/{media}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["onprem_code"] == 1006


async def test_both_ask_for_a_token(door: Door) -> None:
    for path in (LIST, f"{LIST}/0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"):
        assert (await door.http.get(path, headers={"Authorization": "Bearer x"})).status_code == 401


async def test_one_whose_file_was_removed_by_hand_is_missing_and_on_a_volume_that_is_away_it_is_what_the_row_says(fresh: Door) -> None:
    media = await fresh.upload()
    volume = fresh.place.data_dir / "media"

    async def state() -> str:
        return str((await fresh.http.get(f"{LIST}/{media}")).json()["media"][0]["state"])

    (volume / "shared" / media).rename(fresh.place.data_dir / "kept")
    assert await state() == "missing"
    marker = (volume / ".satchel-volume").rename(volume / "away")
    assert await state() == "live"
    marker.rename(volume / ".satchel-volume")
    (fresh.place.data_dir / "kept").rename(volume / "shared" / media)
    assert await state() == "live"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1e300, "9999-12-31T23:59:59.000Z"),
        (-1e18, "0001-01-01T00:00:00.000Z"),
        (float("inf"), "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_time_that_no_calendar_has_is_shown_as_the_nearest(seconds: float, shown: str) -> None:
    assert rfc3339(seconds) == shown
