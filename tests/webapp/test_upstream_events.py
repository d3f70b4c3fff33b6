"""What the upstream posts: repeated refusals are one line of the log."""

import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from satchel.upstream.sandbox import wire

from ..conftest import Place
from .conftest import Door, opened

pytestmark = pytest.mark.anyio
SECRET = "known-to-both"
BODY = b'{"world": "w", "events": []}'


async def test_a_wrong_secret_is_said_once_with_what_to_do_and_once_when_it_is_over(place: Place) -> None:
    async def post(door: Door, secret: str) -> int:
        headers = {wire.SIGNATURE: wire.sign(secret, BODY, int(time.time()))}
        return (await door.http.post("/_satchel/v1/upstream-events", content=BODY, headers=headers)).status_code

    async with opened(replace(place, environ={**place.environ, "SATCHEL_UPSTREAM__SECRET": SECRET})) as door:
        with capture_logs() as said:
            answers = [await post(door, secret) for secret in ("wrong", "wrong", "wrong", SECRET, SECRET, "wrong")]
    assert answers == [401, 401, 401, 200, 200, 401]
    assert [line["event"] for line in said] == ["upstream_events_refused", "upstream_events_taken", "upstream_events_refused"]
    assert "SATCHEL_UPSTREAM__SECRET" in said[0]["details"]
