"""Whose request it is, behind proxies that are trusted and others, whatever the header holds."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from structlog.testing import capture_logs

from satchel import build
from satchel.settings import SettingsError, load
from satchel.webapp.callers import FORWARDED, Callers, networks

from ..conftest import Place
from .conftest import Door, opened

pytestmark = pytest.mark.anyio
TRUSTED = networks(["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"])
PROXY, CLIENT = "127.0.0.1", "192.0.2.7"
HOSTILE = {
    "nothing": "",
    "commas": ",,,,",
    "no address": "somebody",
    "a line of its own": '192.0.2.9\r\n{"event":"forged"}',
    "a zone": "fe80::1%eth0",
    "NUL": "\0",
    "not ASCII": "ÿþ",
    "a huge number": "9" * 60_000,
    "brackets": "[[[",
    "a name": "unknown, _hidden",
}


@pytest.mark.parametrize(
    ("peer", "said", "found"),
    [
        (CLIENT, ["198.51.100.1"], CLIENT),
        (PROXY, [], PROXY),
        (PROXY, ["198.51.100.1"], "198.51.100.1"),
        (PROXY, ["203.0.113.5, 198.51.100.1"], "198.51.100.1"),
        (PROXY, ["203.0.113.5, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        (PROXY, ["203.0.113.5", "198.51.100.1", "10.1.2.3"], "198.51.100.1"),
        (PROXY, ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        (PROXY, ["198.51.100.1, somebody, 10.0.0.2"], "10.0.0.2"),
        (PROXY, ["198.51.100.1:4711"], "198.51.100.1"),
        (PROXY, ["[2001:DB9::1]:4711"], "2001:db9::1"),
        (PROXY, ["2001:0db9:0::1"], "2001:db9::1"),
        (PROXY, ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8::5", ["198.51.100.1"], "198.51.100.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_rightmost_address_that_is_no_trusted_proxy_s_counts(peer: str, said: list[str], found: str) -> None:
    headers = [(b"host", b"node"), *((FORWARDED, text.encode()) for text in said)]
    assert Callers(TRUSTED).address(peer, headers) == found
    assert Callers(()).address(peer, headers) == peer


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_address_leaves_the_proxy_s(said: str) -> None:
    assert Callers(TRUSTED).address(PROXY, [(FORWARDED, said.encode("latin-1"))]) == PROXY


def test_only_the_last_addresses_are_looked_at() -> None:
    said = ",".join(["198.51.100.1", *["10.0.0.1"] * 5000])
    assert Callers(TRUSTED).address(PROXY, [(FORWARDED, said.encode())]) == "10.0.0.1"


def test_the_setting_is_a_list_in_the_environment_and_in_toml(place: Place) -> None:
    file = place.data_dir / "satchel.toml"
    file.write_text('[webapp]\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n')
    assert load(place.data_dir, {}, toml=file).webapp.trusted_proxies == ("10.0.0.0/8", "::1")
    given = {"SATCHEL_WEBAPP__TRUSTED_PROXIES": "10.0.0.0/8, ::1"}
    assert load(place.data_dir, given, toml=place.data_dir / "none").webapp.trusted_proxies == ("10.0.0.0/8", "::1")
    with pytest.raises(SettingsError, match=r"10\.0\.0\.300.*SATCHEL_WEBAPP__TRUSTED_PROXIES"):
        load(place.data_dir, {"SATCHEL_WEBAPP__TRUSTED_PROXIES": "127.0.0.1 10.0.0.300"}, toml=file)


@pytest.fixture
async def behind(place: Place) -> AsyncIterator[Door]:
    """A Webapp that trusts the proxy."""
    async with opened(replace(place, environ={**place.environ, "SATCHEL_WEBAPP__TRUSTED_PROXIES": PROXY})) as door:
        yield door


async def login(door: Door, password: str, said: str, peer: str = PROXY) -> int:
    transport = httpx2.ASGITransport(build.webapp(door.place.settings, door.ports), client=(peer, 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://node") as http:
        headers = [(b"X-Forwarded-For", said.encode("latin-1"))]
        return (await http.post("/v1/users/login", auth=("admin", password), headers=headers)).status_code


async def test_the_brake_holds_one_client_behind_the_proxy_and_no_other(behind: Door) -> None:
    assert [await login(behind, "wrong", f"203.0.113.{n}, {CLIENT}") for n in range(11)] == [401] * 10 + [429]
    assert await login(behind, "wrong", "192.0.2.8") == 401
    assert await login(behind, "wrong", CLIENT, peer="192.0.2.9") == 401


async def test_the_log_names_the_client_and_nothing_that_a_header_makes_up(behind: Door) -> None:
    with capture_logs() as said:
        await login(behind, "wrong", f"forged, {CLIENT}")
        for text in HOSTILE.values():
            await login(behind, "wrong", text[:1000])
    assert [line["address"] for line in said if line["event"] == "request"] == [CLIENT, *[PROXY] * len(HOSTILE)]
