"""Links become media: fetched from a real server, kept on the volume, the same bytes once."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from satchel import build
from satchel.db import media as rows
from satchel.db import providers
from satchel.db.providers import Provider
from satchel.domain.errors import LINK_FAILED, LINK_TOO_LARGE, Fault, Later
from satchel.flows import Ports, links
from satchel.flows.media_node import key_of

from ..conftest import Place
from ..egress.test_fetch import Web, answer, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
async def ports(place: Place) -> AsyncIterator[Ports]:
    place.environ.update(SATCHEL_EGRESS__ALLOW="127.0.0.0/8", SATCHEL_VOLUME__MAX_UPLOAD="10KB")
    async with build.opened(place.settings, "core") as opened:
        yield opened.ports


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serving() as web:
        web.answers["/a"] = answer("200 OK", b"hello", "Content-Type: application/pdf")
        yield web


def files(place: Place) -> list[str]:
    return sorted(path.name for path in (place.data_dir / "media/shared").iterdir())


async def test_the_same_bytes_are_one_media_however_many_links_lead_to_them(ports: Ports, web: Web, place: Place) -> None:
    web.answers["/b"] = web.answers["/a"]
    first = await links.fetch(ports, web.url("/a"), None)
    second = await links.fetch(ports, web.url("/b"), None)
    assert (first.mime, first.size, second) == ("application/pdf", 5, first)
    assert files(place) == [first.id]
    assert await ports.db.read(lambda tx: rows.live(tx, first.id)) == first


async def test_two_at_once_leave_one_file_or_two_media_but_no_stray(ports: Ports, web: Web, place: Place) -> None:
    made = await asyncio.gather(*(links.fetch(ports, web.url("/a"), None) for _ in range(4)))
    assert files(place) == sorted({media.id for media in made})


async def test_one_that_was_removed_by_hand_is_there_again_after_the_next_fetch(ports: Ports, web: Web, place: Place) -> None:
    first = await links.fetch(ports, web.url("/a"), None)
    (place.data_dir / "media" / key_of(first.id)).unlink()
    second = await links.fetch(ports, web.url("/a"), None)
    assert second.id != first.id
    assert files(place) == [second.id]
    assert await ports.db.read(lambda tx: rows.live(tx, first.id)) is None


async def test_a_file_that_was_changed_by_hand_is_not_what_the_link_leads_to(ports: Ports, web: Web, place: Place) -> None:
    first = await links.fetch(ports, web.url("/a"), None)
    (place.data_dir / "media" / key_of(first.id)).write_bytes(b"by hand")
    second = await links.fetch(ports, web.url("/a"), None)
    assert second.id != first.id
    assert (place.data_dir / "media" / key_of(second.id)).read_bytes() == b"hello"
    assert files(place) == sorted([first.id, second.id])
    noted = await ports.db.read(lambda tx: rows.live(tx, first.id))
    assert noted is not None and noted.size == len(b"by hand")
    assert (await links.fetch(ports, web.url("/a"), None)).id == second.id


async def test_the_same_bytes_written_anew_are_the_same_media(ports: Ports, web: Web, place: Place) -> None:
    first = await links.fetch(ports, web.url("/a"), None)
    path = place.data_dir / "media" / key_of(first.id)
    path.with_suffix(".new").write_bytes(b"hello")
    path.with_suffix(".new").rename(path)
    second = await links.fetch(ports, web.url("/a"), None)
    assert second.id == first.id
    assert files(place) == [first.id]


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo])
async def test_what_was_put_in_the_place_of_a_file_is_no_media(ports: Ports, web: Web, place: Place, put: Callable[[Path], None]) -> None:
    first = await links.fetch(ports, web.url("/a"), None)
    path = place.data_dir / "media" / key_of(first.id)
    path.unlink()
    put(path)
    second = await links.fetch(ports, web.url("/a"), None)
    assert second.id != first.id
    assert (place.data_dir / "media" / key_of(second.id)).read_bytes() == b"hello"


@pytest.mark.parametrize(("path", "situation"), [("/empty", LINK_FAILED), ("/big", LINK_TOO_LARGE), ("/nowhere", LINK_FAILED)])
async def test_what_cannot_be_kept_leaves_nothing(ports: Ports, web: Web, place: Place, path: str, situation: object) -> None:
    web.answers |= {"/empty": answer("200 OK"), "/big": answer("200 OK", b"x" * 20_000)}
    with pytest.raises(Fault) as caught:
        await links.fetch(ports, web.url(path), None)
    assert caught.value.situation is situation
    assert files(place) == []


async def test_a_body_that_breaks_off_leaves_nothing(ports: Ports, web: Web, place: Place) -> None:
    web.answers["/a"] = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 100
    with pytest.raises(Later):
        await links.fetch(ports, web.url("/a"), None)
    assert files(place) == []


async def test_a_type_that_is_none_is_not_taken_over(ports: Ports, web: Web) -> None:
    web.answers["/a"] = answer("200 OK", b"hello", "Content-Type: whatever")
    assert (await links.fetch(ports, web.url("/a"), None)).mime == "application/octet-stream"


async def test_the_providers_credentials_go_along(ports: Ports, web: Web) -> None:
    await ports.db.write(lambda tx: providers.keep(tx, Provider("basic", "me", "se:cret"), "admin"))
    await ports.db.write(lambda tx: providers.keep(tx, Provider("bearer", bearer="token"), "admin"))
    await links.fetch(ports, web.url("/a"), "basic")
    await links.fetch(ports, web.url("/a"), "bearer")
    assert f"Authorization: Basic {base64.b64encode(b'me:se:cret').decode()}" in web.heads[0]
    assert "Authorization: Bearer token" in web.heads[1]
    with pytest.raises(Fault, match="was removed"):
        await links.fetch(ports, web.url("/a"), "gone")
