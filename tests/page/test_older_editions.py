"""The 64 MB of an older edition of the page: P26."""

from typing import Any

import pytest

from satchel.testing.world import World

from .conftest import Api
from .web import serving

MB = 1 << 20


@pytest.fixture(scope="session")
def satchel_settings() -> dict[str, Any]:
    return {"egress.allow": "127.0.0.0/8", "volume.max_upload": "64MB"}


def test_p26_64_mb_are_one_value_of_a_setting_that_holds_for_uploads_and_links(api: Api, whatsapp: World) -> None:
    phone = whatsapp.phone()
    api.send(phone.number, "document", id=api.upload(bytes(64 * MB), "application/zip"))
    assert phone.wait_for("document", timeout=30).info["media"]["size"] == 64 * MB
    over = api.http.post("/v1/media", content=bytes(64 * MB + 1), headers={"Content-Type": "application/zip"})
    assert (over.status_code, "64 MiB" in over.json()["errors"][0]["details"]) == (413, True)
    with serving(fits=("application/zip", bytes(64 * MB), ""), over=("application/zip", bytes(64 * MB + 1), "")) as web:
        api.send(phone.number, "document", link=web.url("/fits"))
        assert phone.wait_for("document", timeout=30).info["media"]["size"] == 64 * MB
        assert "64 MiB" in api.refused("document", link=web.url("/over"))["details"]
