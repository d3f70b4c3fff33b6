"""GET and HEAD of a media: ranges, conditions, and files that were changed by hand."""

import hashlib
import os

import pytest
from structlog.testing import capture_logs

from satchel.webapp.ranges import Span, span_of

from .conftest import Door

pytestmark = pytest.mark.anyio
DATA = bytes(range(256)) * 4000
"""Over the size up to which a body is one message."""


@pytest.fixture(scope="module")
async def media(door: Door) -> str:
    return await door.upload(DATA, "video/mp4; codecs=avc1")


async def test_a_whole_download_says_what_it_is_and_lets_no_browser_run_it(door: Door, media: str) -> None:
    got = await door.http.get(f"/v1/media/{media}")
    assert (got.status_code, got.content) == (200, DATA)
    assert got.headers["etag"] == f'"{hashlib.sha256(DATA).hexdigest()}"'
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert "transfer-encoding" not in got.headers


async def test_head_is_get_without_the_body(door: Door, media: str) -> None:
    get, head = [await door.http.request(method, f"/v1/media/{media}") for method in ("GET", "HEAD")]
    assert head.content == b""
    assert {**head.headers, "x-request-id": ""} == {**get.headers, "x-request-id": ""}


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=100-199", 100, 200), ("bytes=0-0", 0, 1), ("bytes=1000000-", 1_000_000, 1_024_000), ("bytes=-50", 1_023_950, 1_024_000),
     ("bytes=5-99999999", 5, 1_024_000), ("bytes=-99999999", 0, 1_024_000), ("BYTES = 7-8", 7, 9), ("bytes=3-700002", 3, 700_003)],
)  # fmt: skip
async def test_one_range_is_206(door: Door, media: str, asked: str, start: int, end: int) -> None:
    got = await door.http.get(f"/v1/media/{media}", headers={"Range": asked})
    assert (got.status_code, got.content) == (206, DATA[start:end])
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert got.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=-", "bytes=a-b", "bytes", "", "bytes=²-3"])
async def test_several_ranges_other_units_and_nonsense_are_ignored(door: Door, media: str, asked: str) -> None:
    got = await door.http.get(f"/v1/media/{media}", headers={b"Range": asked.encode()})
    assert (got.status_code, got.content) == (200, DATA)


@pytest.mark.parametrize("asked", ["bytes=1024000-", "bytes=99999999-100000000", "bytes=-0"])
async def test_a_range_behind_the_end_is_416_and_says_how_long_the_file_is(door: Door, media: str, asked: str) -> None:
    with capture_logs() as said:
        got = await door.http.get(f"/v1/media/{media}", headers={"Range": asked})
    assert (got.status_code, got.headers["content-range"]) == (416, f"bytes */{len(DATA)}")
    assert got.json()["errors"][0]["code"] == 1009
    assert [line["error"] for line in said if line["event"] == "refused"] == ["range-beyond-end"]


async def test_a_range_counts_only_while_the_file_is_the_one_the_client_knows(door: Door, media: str) -> None:
    etag = f'"{hashlib.sha256(DATA).hexdigest()}"'
    same, other = [
        await door.http.get(f"/v1/media/{media}", headers={"Range": "bytes=0-9", "If-Range": tag}) for tag in (etag, '"another"')
    ]
    assert (same.status_code, other.status_code) == (206, 200)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_the_client_has_already_is_304_without_a_body(door: Door, media: str, method: str, form: str) -> None:
    etag = f'"{hashlib.sha256(DATA).hexdigest()}"'
    got = await door.http.request(method, f"/v1/media/{media}", headers={"If-None-Match": form.format(etag)})
    assert (got.status_code, got.content, got.headers["etag"]) == (304, b"", etag)


async def test_another_tag_is_no_match(door: Door, media: str) -> None:
    got = await door.http.get(f"/v1/media/{media}", headers={"If-None-Match": '"another"'})
    assert got.status_code == 200


async def test_a_file_changed_by_hand_is_hashed_again_and_served_as_it_is(fresh: Door) -> None:
    media = await fresh.upload(b"before")
    (fresh.place.data_dir / "media" / "shared" / media).write_bytes(b"after, and longer")
    got = await fresh.http.get(f"/v1/media/{media}")
    assert (got.content, got.headers["content-length"]) == (b"after, and longer", "17")
    assert got.headers["etag"] == f'"{hashlib.sha256(b"after, and longer").hexdigest()}"'
    stamp, sha256 = await fresh.ports.db.read(lambda tx: tx.one("SELECT stamp, sha256 FROM media WHERE id = :id", id=media)) or ("", "")
    assert stamp == await fresh.ports.volume.stat(f"shared/{media}")
    assert sha256 == hashlib.sha256(b"after, and longer").hexdigest()


async def test_a_file_that_was_only_touched_stays_what_it_was(fresh: Door) -> None:
    media = await fresh.upload(b"same")
    os.utime(fresh.place.data_dir / "media" / "shared" / media, (1, 1))
    got = await fresh.http.get(f"/v1/media/{media}")
    assert (got.content, got.headers["etag"]) == (b"same", f'"{hashlib.sha256(b"same").hexdigest()}"')


async def test_a_file_emptied_by_hand_is_an_empty_file(fresh: Door) -> None:
    media = await fresh.upload(b"something")
    (fresh.place.data_dir / "media" / "shared" / media).write_bytes(b"")
    got = await fresh.http.get(f"/v1/media/{media}")
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "0")


def test_a_span_is_what_of_the_file_is_asked_for() -> None:
    assert span_of("bytes=2-3", 10) == Span(2, 4, 10)
    assert span_of("bytes=2-3", 10).content_range == "bytes 2-3/10"  # type: ignore[union-attr]
