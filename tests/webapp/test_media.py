"""The media node at the door."""

import uuid
from collections.abc import AsyncIterator

import pytest

from satchel.domain.limits import UPLOAD_BYTES

from .conftest import Door

pytestmark = pytest.mark.anyio


async def test_what_was_uploaded_comes_back_with_its_type_and_length(fresh: Door) -> None:
    media = await fresh.upload(b"OggS", "audio/ogg; codecs=opus")
    assert str(uuid.UUID(media)) == media
    got = await fresh.http.get(f"/v1/media/{media}")
    assert (got.status_code, got.content) == (200, b"OggS")
    assert got.headers["content-type"] == "audio/ogg; codecs=opus"
    assert got.headers["content-length"] == "4"
    assert got.headers["content-disposition"] == f"attachment; filename={media}"
    assert fresh.files("shared") == [media]


async def test_an_upload_is_a_plain_file_that_the_business_may_read(door: Door) -> None:
    media = await door.upload(b"x" * 1_000_000)
    path = door.place.data_dir / "media" / "shared" / media
    assert path.read_bytes() == b"x" * 1_000_000
    assert path.stat().st_mode & 0o777 == 0o644


async def test_the_answer_has_exactly_one_element_and_meta(door: Door) -> None:
    answer = await door.http.post("/v1/media", content=b"x", headers={"Content-Type": "image/png"})
    assert answer.status_code == 201
    assert set(answer.json()) == {"media", "meta"}
    assert len(answer.json()["media"]) == 1
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["meta"]["version"].startswith("v2.")


async def test_a_chunked_upload_is_taken(door: Door) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"y" * 100_000

    answer = await door.http.post("/v1/media", content=body(), headers={"Content-Type": "video/mp4"})
    assert answer.status_code == 201
    assert (await door.http.get(f"/v1/media/{answer.json()['media'][0]['id']}")).headers["content-length"] == "1000000"


@pytest.mark.parametrize("path", ["/v1/media/", "/v1//media", "//v1/media//"])
async def test_doubled_and_trailing_slashes_are_served(door: Door, path: str) -> None:
    answer = await door.http.post(f"http://node{path}", content=b"x", headers={"Content-Type": "image/png"})
    assert answer.status_code == 201
    media = answer.json()["media"][0]["id"]
    assert (await door.http.get(f"http://node/v1/media//{media}/")).content == b"x"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 1008),
        ({"Content-Type": "picture"}, 1009),
        ({"Content-Type": "image/"}, 1009),
        ({"Content-Type": "image/png; x=\x7f"}, 1009),
    ],
)
async def test_a_missing_or_malformed_type_is_400(fresh: Door, headers: dict[str, str], code: int) -> None:
    answer = await fresh.http.post("/v1/media", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    assert "Content-Type" in answer.json()["errors"][0]["details"]
    assert fresh.files("shared") == fresh.files("parts") == []


async def test_an_empty_body_is_refused_and_leaves_nothing(fresh: Door) -> None:
    answer = await fresh.http.post("/v1/media", content=b"", headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1009)
    assert fresh.files("shared") == fresh.files("parts") == []


async def test_too_much_is_refused_by_its_declared_length_before_it_is_read(door: Door) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"only this"

    headers = {"Content-Type": "image/png", "Content-Length": str(UPLOAD_BYTES + 1)}
    answer = await door.http.post("/v1/media", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, 1009)
    assert answer.headers["connection"] == "close"


async def test_too_much_is_refused_while_it_streams_and_leaves_nothing(fresh: Door) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(101):
            yield bytes(1 << 20)

    answer = await fresh.http.post("/v1/media", content=body(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 413
    assert "100 MiB" in answer.json()["errors"][0]["details"]
    assert fresh.files("shared") == fresh.files("parts") == []


@pytest.mark.parametrize(
    "media_id",
    ["0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11", "nope", "F043AFD0-F0AE-4B9C-AB3D-696FB4C8CD68", "%2e%2e%2f%2e%2e", "x" * 5000],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
async def test_an_unknown_id_is_404_without_a_body(door: Door, media_id: str, method: str) -> None:
    answer = await door.http.request(method, f"/v1/media/{media_id}")
    assert (answer.status_code, answer.content) == (404, b"")


async def test_the_id_in_capitals_is_another_id(door: Door) -> None:
    media = await door.upload()
    assert (await door.http.get(f"/v1/media/{media.upper()}")).status_code == (200 if media.upper() == media else 404)


async def test_delete_is_at_once_and_for_good(fresh: Door) -> None:
    media = await fresh.upload()
    answer = await fresh.http.delete(f"/v1/media/{media}")
    assert (answer.status_code, set(answer.json())) == (200, {"meta"})
    assert (await fresh.http.get(f"/v1/media/{media}")).status_code == 404
    assert (await fresh.http.delete(f"/v1/media/{media}")).status_code == 404
    assert fresh.files("shared") == []


async def test_a_file_removed_by_hand_is_404(door: Door) -> None:
    media = await door.upload()
    (door.place.data_dir / "media" / "shared" / media).unlink()
    assert (await door.http.get(f"/v1/media/{media}")).status_code == 404


async def test_without_the_volume_nothing_is_written_and_nothing_is_called_gone(fresh: Door) -> None:
    media = await fresh.upload()
    root = fresh.place.data_dir / "media"
    away = root.rename(root.with_name("unmounted"))
    root.mkdir()  # what an unmounted mount point looks like
    answers = [
        await fresh.http.get(f"/v1/media/{media}"),
        await fresh.http.post("/v1/media", content=b"x", headers={"Content-Type": "a/b"}),
    ]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all("Retry-After" in answer.headers for answer in answers)
    assert list(root.iterdir()) == []
    root.rmdir()
    away.rename(root)
    assert (await fresh.http.get(f"/v1/media/{media}")).content == b"hello"


async def test_head_answers_like_get_without_the_bytes(door: Door) -> None:
    media = await door.upload(b"12345")
    answer = await door.http.head(f"/v1/media/{media}")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "5", b"")
