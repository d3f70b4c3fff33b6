"""Uploading, fetching and deleting: P01 to P05 and P07."""

import http.client
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from satchel.testing.world import World

from ..postprocess.pictures import HARBOUR, MEDIA, pixels
from .conftest import Api, Json

MB = 1 << 20
PAGE_CURL = """curl -X POST \\
 {node}/v1/media \\
 -H 'Authorization: Bearer {token}' \\
 -H 'Content-Type: image/jpeg' \\
 --data-binary @{file}
"""
"""As the page has it, without the blank and the comment behind its backslashes."""


def test_p01_the_body_is_the_file_the_header_its_type_and_the_answer_its_id(api: Api) -> None:
    answer = api.http.post("/v1/media", content=HARBOUR, headers={"Content-Type": "image/jpeg"})
    (media,) = answer.json()["media"]
    assert answer.is_success
    assert list(media) == ["id"]
    assert str(uuid.UUID(media["id"])) == media["id"]


def test_p01_without_a_token_or_a_type_nothing_is_taken(api: Api, whatsapp: World) -> None:
    assert httpx2.post(f"{whatsapp.url}/v1/media", content=HARBOUR, headers={"Content-Type": "image/jpeg"}).status_code == 401
    for headers in ({}, {"Content-Type": "jpeg"}):
        assert api.http.post("/v1/media", content=HARBOUR, headers=headers).status_code == 400


def test_p02_the_payload_of_a_plain_post_is_the_file(whatsapp: World) -> None:
    connection = http.client.HTTPConnection(urlsplit(whatsapp.url).netloc, timeout=30)
    headers = {"Authorization": f"Bearer {whatsapp.token}", "Content-Type": "image/jpeg"}
    connection.request("POST", "/v1/media", HARBOUR, headers)
    (media_id,) = re.findall(r'"id": ?"([^"]+)"', connection.getresponse().read().decode())
    connection.close()
    assert whatsapp.media.get(media_id) == HARBOUR


def test_p02_the_curl_of_the_page_does_the_same(whatsapp: World) -> None:
    command = PAGE_CURL.format(node=whatsapp.url, token=whatsapp.token, file=MEDIA / "harbour.jpg")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    (media_id,) = re.findall(r'"id": ?"([^"]+)"', done.stdout)
    assert whatsapp.media.get(media_id) == HARBOUR


def test_p03_a_media_is_fetched_by_its_id_and_deleted_by_it(api: Api) -> None:
    path = f"/v1/media/{api.upload(HARBOUR, 'image/jpeg')}"
    fetched = api.http.get(path)
    assert (fetched.status_code, fetched.headers["content-type"], fetched.content) == (200, "image/jpeg", HARBOUR)
    assert api.http.delete(path).status_code == 200
    for method in ("GET", "DELETE"):
        again = api.http.request(method, path)
        assert (again.status_code, again.content) == (404, b"")


WRONG: dict[str, tuple[str, str, Json, int, int, str]] = {
    "no token": (
        "POST",
        "/v1/media",
        {"content": b"x", "headers": {"Authorization": "", "Content-Type": "a/b"}},
        401,
        1005,
        "Access denied",
    ),
    "nobody's media": (
        "POST",
        "/v1/messages",
        {"json": {"to": "12025550111", "type": "image", "image": {"id": str(uuid.uuid4())}}},
        404,
        1006,
        "Resource not found",
    ),
    "no recipient": ("POST", "/v1/messages", {"json": {"type": "text", "text": {"body": "x"}}}, 400, 1008, "Required parameter is missing"),
    "no bytes": ("POST", "/v1/media", {"content": b"", "headers": {"Content-Type": "a/b"}}, 400, 1009, "Parameter value is not valid"),
    "no such call": ("PATCH", "/v1/media", {}, 405, 1025, "Invalid Request"),
    "no such path": ("GET", "/v1/pigeons", {}, 404, 1006, "Resource not found"),
}


@pytest.mark.parametrize("what", WRONG)
def test_p04_an_error_has_a_known_code_with_its_title(api: Api, what: str) -> None:
    method, path, given, status, code, title = WRONG[what]
    answer = api.http.request(method, path, **given)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"], error["title"]) == (status, code, title)
    assert error["details"]


def test_p04_a_message_that_fails_tells_its_error_in_the_same_form(api: Api) -> None:
    error = api.refused("image", id=api.upload(b"no picture", "image/jpeg"))
    assert (error["code"], error["title"]) == (1000, "Generic error")
    assert "text/plain" in error["details"]


def test_p05_an_upload_lies_on_the_volume_under_its_id_and_is_sent_by_it(api: Api, whatsapp: World) -> None:
    media_id = api.upload(HARBOUR, "image/jpeg")
    file = api.file(media_id)
    assert (file.parent.name, file.name, file.read_bytes()) == ("shared", media_id, HARBOUR)
    phone = whatsapp.phone()
    sent = api.send(phone.number, "image", id=media_id)
    assert (phone.wait_for("image").id, phone.messages[0].state) == (sent, "downloaded")


def test_p07_the_upload_is_processed_before_it_goes_to_the_server(api: Api, whatsapp: World) -> None:
    media_id = api.upload(HARBOUR, "image/jpeg")
    phone = whatsapp.phone()
    api.send(phone.number, "image", id=media_id)
    received = phone.wait_for("image").bytes
    assert [b"drawn by make_harbour.py" in file for file in (HARBOUR, received)] == [True, False]
    assert pixels(received) == pixels(HARBOUR)
    assert api.http.get(f"/v1/media/{media_id}").content == HARBOUR


def test_p07_100_mb_can_be_uploaded_and_no_byte_more(api: Api) -> None:
    def body(size: int) -> Iterator[bytes]:
        yield from (bytes(MB) for _ in range(size // MB))
        yield bytes(size % MB)

    headers = {"Content-Type": "application/octet-stream"}
    most = api.http.post("/v1/media", content=body(100 * MB), headers=headers)
    assert most.status_code == 201
    (folder,) = {api.file(most.json()["media"][0]["id"]).parent}
    before = _files(folder.parent)
    for length in ({}, {"Content-Length": str(100 * MB + 1)}):
        over = api.http.post("/v1/media", content=body(100 * MB + 1), headers={**headers, **length})
        assert (over.status_code, over.json()["errors"][0]["code"]) == (413, 1009)
        assert "100 MiB" in over.json()["errors"][0]["details"]
    assert _files(folder.parent) == before


def _files(volume: Path) -> set[str]:
    return {str(path) for path in volume.rglob("*") if path.is_file()}
