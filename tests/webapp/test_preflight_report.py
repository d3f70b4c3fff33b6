"""What would become of a file: told over HTTP by really doing it, with nothing left behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from PIL import Image

from satchel.domain.limits import ENCRYPTED_BYTES, encrypted_size, largest_plain
from satchel.flows import users

from ..conftest import PHOTO, Place
from ..postprocess.pictures import jpeg, png, saved, scene
from ..postprocess.recordings import mp4
from .conftest import Door, opened

pytestmark = pytest.mark.anyio
URL = "/_satchel/v1/preflight"
CLEAR = scene(mode="RGBA")
CLEAR.putpixel((3, 3), (1, 2, 3, 0))
EXIF = Image.Exif()
EXIF[0x010E] = "a description that nobody needs to read on a phone"


async def asked(door: Door, body: bytes, media_type: str | None = None, mime: str = "image/jpeg") -> httpx2.Response:
    return await door.http.post(URL, content=body, params={"as": media_type} if media_type else {}, headers={"Content-Type": mime})


async def report(door: Door, body: bytes, media_type: str | None = None, mime: str = "image/jpeg") -> dict[str, Any]:
    answer = await asked(door, body, media_type, mime)
    assert answer.status_code == 200, answer.text
    assert nothing_is_left(door)
    found: dict[str, Any] = answer.json()
    return found


def nothing_is_left(door: Door) -> bool:
    return door.files("shared") == door.files("renditions") == door.files("parts") == []


# Verdicts


async def test_a_compliant_jpeg_is_ok(door: Door) -> None:
    bare = (await report(door, jpeg()))["sizes"]["processed"]
    body = jpeg(exif=EXIF)
    found = await report(door, body, "image")
    assert {name: found[name] for name in ("verdict", "declared", "as", "problems")} == {
        "verdict": "ok",
        "declared": "image/jpeg",
        "as": "image",
        "problems": [],
    }
    assert found["detected"] == {"mime": "image/jpeg", "container": "jpeg", "w": 48, "h": 32, "animated": False, "alpha": False}
    assert [action["do"] for action in found["actions"]] == ["strip"]
    assert found["sizes"] == {"upload": len(body), "processed": bare, "encrypted": encrypted_size(bare)}
    assert bare < len(body)
    assert found["limits"] == {"upload": door.ports.limits.upload, "processed": ENCRYPTED_BYTES["image"]}


async def test_what_goes_out_byte_for_byte_has_no_action(door: Door) -> None:
    found = await report(door, jpeg())
    assert (found["verdict"], found["actions"]) == ("ok", [])


async def test_a_transparent_png_is_changed_and_says_why(door: Door) -> None:
    found = await report(door, png(CLEAR), "image", "image/png")
    (action,) = found["actions"]
    assert (found["verdict"], found["detected"]["alpha"], found["problems"]) == ("changed", True, [])
    assert "transparent" in action.pop("why")
    assert action == {"do": "convert", "before": "image/png", "after": "image/jpeg"}
    assert found["sizes"]["encrypted"] == encrypted_size(found["sizes"]["processed"])


async def test_text_as_an_image_is_refused_with_1000(door: Door) -> None:
    found = await report(door, b"hello", "image")
    (problem,) = found["problems"]
    assert (found["verdict"], problem["code"], problem["title"]) == ("refused", 1000, "Generic error")
    assert "text/plain" in problem["details"]
    assert (found["detected"], found["declared"]) == ({"mime": "text/plain", "container": "text"}, "image/jpeg")
    assert (found["sizes"], found["actions"]) == ({"upload": 5}, [])


async def test_a_truncated_picture_is_refused_with_1014(door: Door) -> None:
    found = await report(door, PHOTO.read_bytes()[:-20_000])
    assert (found["verdict"], found["as"], found["problems"][0]["code"]) == ("refused", "image", 1014)
    assert found["detected"] == {"mime": "image/jpeg", "container": "jpeg"}


async def test_a_truncated_picture_goes_out_as_a_document(door: Door) -> None:
    found = await report(door, body := PHOTO.read_bytes()[:-20_000], "document")
    assert (found["verdict"], found["sizes"]["processed"]) == ("ok", len(body))


@pytest.mark.parametrize("more", [0, 1])
async def test_over_the_ceiling_is_refused_with_1014_to_the_byte(tmp_path: Any, more: int) -> None:
    place = Place(tmp_path, {"SATCHEL_DATABASE__KIND": "sqlite", "SATCHEL_POSTPROCESS__STICKER": "off"})
    async with opened(place) as door:
        found = await report(door, bytes(largest_plain(ENCRYPTED_BYTES["sticker"]) + more), "sticker")
    assert (found["verdict"], [problem["code"] for problem in found["problems"]]) == (("refused", [1014]) if more else ("ok", []))


async def test_where_nothing_is_stripped_the_metadata_count(tmp_path: Any) -> None:
    place = Place(tmp_path, {"SATCHEL_DATABASE__KIND": "sqlite", "SATCHEL_POSTPROCESS__STICKER": "off"})
    async with opened(place) as door:
        found = await report(door, jpeg() + bytes(ENCRYPTED_BYTES["sticker"]), "sticker")
    assert (found["verdict"], found["problems"][0]["code"]) == ("refused", 1014)


async def test_a_recording_is_described_by_its_streams(door: Door) -> None:
    found = await report(door, mp4(layout="stereo"), mime="video/mp4")
    detected = {name: found["detected"][name] for name in ("container", "codecs", "channels")}
    assert (found["verdict"], found["as"], detected) == ("ok", "video", {"container": "mp4", "codecs": ["h264", "aac"], "channels": 2})
    assert found["detected"]["duration"] > 0
    assert found["detected"]["w"] > found["detected"]["h"] > 0
    assert "alpha" not in found["detected"]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (jpeg(), "image"),
        (saved(scene(512, 512), "WEBP", {}), "sticker"),
        (saved(scene(512, 511), "WEBP", {}), "image"),
        (b"#!AMR\n" + bytes(20), "audio"),
        (b"\0\0\x01\xba" + bytes(20), "video"),
        (b"%PDF-1.7\n", "document"),
        (b"\0", "document"),
    ],
    ids=["jpeg", "sticker", "webp", "amr", "mpeg", "pdf", "unknown"],
)
async def test_without_a_type_the_content_chooses(door: Door, body: bytes, media_type: str) -> None:
    assert (await report(door, body, mime="application/octet-stream"))["as"] == media_type


# Requests


async def test_every_user_may_ask_and_nobody_else(fresh: Door) -> None:
    await users.add(fresh.ports.db, "quay", "Quay-Lantern-42")
    token = (await fresh.http.post("/v1/users/login", auth=("quay", "Quay-Lantern-42"))).json()["users"][0]["token"]
    headers = {"Content-Type": "image/jpeg", "Authorization": f"Bearer {token}"}
    assert (await fresh.http.post(URL, content=jpeg(), headers=headers)).json()["verdict"] == "ok"
    assert (await fresh.http.post(URL, content=jpeg(), headers={**headers, "Authorization": "Bearer x"})).status_code == 401


@pytest.mark.parametrize(
    ("body", "media_type", "mime", "status", "code"),
    [
        (b"x", "voice", "a/b", 400, 1009),
        (b"x", "image", "", 400, 1008),
        (b"", "image", "a/b", 400, 1009),
    ],
    ids=["type", "no-mime", "empty"],
)
async def test_a_bad_request_is_an_error(door: Door, body: bytes, media_type: str, mime: str, status: int, code: int) -> None:
    answer = await asked(door, body, media_type, mime)
    assert (answer.status_code, answer.json()["onprem_code"]) == (status, code)
    assert nothing_is_left(door)


@pytest.mark.parametrize("told", [True, False], ids=["length-told", "chunked"])
async def test_over_the_ceiling_of_uploads_is_413_and_leaves_nothing(tmp_path: Any, told: bool) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield bytes(600)
        yield bytes(600)

    async with opened(Place(tmp_path, {"SATCHEL_DATABASE__KIND": "sqlite", "SATCHEL_VOLUME__MAX_UPLOAD": "1KB"})) as door:
        answer = await door.http.post(URL, content=bytes(1200) if told else blocks(), headers={"Content-Type": "a/b"})
        assert (answer.status_code, answer.headers["satchel-error"]) == (413, "upload-too-large")
        assert nothing_is_left(door)


async def test_a_length_over_the_ceiling_is_refused_whatever_comes(door: Door) -> None:
    answer = await door.http.post(URL, content=b"x", headers={"Content-Type": "a/b", "Content-Length": str(1 << 30)})
    assert (answer.status_code, answer.headers["satchel-error"]) == (413, "upload-too-large")


# Ends before the end


@pytest.mark.parametrize("how", ["gone", "cancelled"])
async def test_an_upload_that_is_broken_off_leaves_nothing(fresh: Door, how: str) -> None:
    begun = asyncio.Event()
    came = [{"type": "http.request", "body": jpeg() * 1000, "more_body": True}]

    async def receive() -> dict[str, Any]:
        if came:
            return came.pop()
        assert len(fresh.files("parts")) == 1, "it is written while it comes"
        begun.set()
        if how == "cancelled":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    sent: list[dict[str, Any]] = []
    task = asyncio.ensure_future(call(fresh, receive, sent))
    await begun.wait()
    if how == "cancelled":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await task
        assert sent[0]["status"] == 400
    assert nothing_is_left(fresh)


async def call(door: Door, receive: Any, sent: list[dict[str, Any]]) -> None:
    """One request, message by message."""

    async def send(message: Any) -> None:
        sent.append(message)

    transport: Any = door.http._transport
    scope = {
        "type": "http",
        "method": "POST",
        "path": URL,
        "raw_path": URL.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"image/jpeg"), (b"authorization", door.http.headers["Authorization"].encode())],
    }
    await transport.app(scope, receive, send)
