"""What these tests share: a node of the test kit that may fetch links from here, and the plain HTTP that the page speaks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from satchel.testing.world import World

Json = dict[str, Any]


class Api:
    """The two calls of the page. `http`: for whatever else is asked, with the token in it."""

    def __init__(self, world: World, http: httpx2.Client) -> None:
        self._world, self.http = world, http

    def upload(self, body: bytes, mime: str) -> str:
        answer = self.http.post("/v1/media", content=body, headers={"Content-Type": mime})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["media"][0]["id"])

    def post(self, to: str, type_: str, **media: Any) -> httpx2.Response:
        return self.http.post("/v1/messages", json={"to": to, "type": type_, type_: media})

    def send(self, to: str, type_: str, **media: Any) -> str:
        """The id of an accepted message."""
        answer = self.post(to, type_, **media)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["messages"][0]["id"])

    def refused(self, type_: str, **media: Any) -> Json:
        """The error of the status `failed` that a message ends with; its phone has nothing."""
        phone = self._world.phone()
        with self._world.expect_webhook("statuses", timeout=60, status="failed") as hook:
            sent = self.send(phone.number, type_, **media)
        (status,) = hook.json["statuses"]
        assert (status["id"], phone.messages) == (sent, [])
        error: Json = status["errors"][0]
        return error

    def file(self, media_id: str) -> Path:
        """Where a media lies on the volume."""
        return Path(self._world.media.info(media_id).file)


@pytest.fixture(scope="session")
def satchel_settings() -> Json:
    return {"egress.allow": "127.0.0.0/8"}


@pytest.fixture
def api(whatsapp: World) -> Iterator[Api]:
    """The node of this test's world."""
    headers = {"Authorization": f"Bearer {whatsapp.token}"}
    with httpx2.Client(base_url=whatsapp.url, headers=headers, timeout=60.0, trust_env=False) as http:
        yield Api(whatsapp, http)
