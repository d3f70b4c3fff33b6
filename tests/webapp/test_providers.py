"""Media providers and the certificates of webhooks, as an administrator keeps them."""

from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from satchel.db import providers, settings

from .conftest import Door

pytestmark = pytest.mark.anyio
PROVIDERS, CA = "/v1/settings/application/media/providers", "/v1/certificates/webhooks/ca"
BEARER = {"name": "files", "type": "www", "config": {"bearer": "very-secret"}}
BASIC = {"name": "more", "type": "www", "config": {"basic": {"username": "me", "password": "very-secret"}}, "hosts": ["Files.example.com"]}


async def listed(door: Door) -> list[dict[str, Any]]:
    answer = await door.http.get(PROVIDERS)
    assert "very-secret" not in answer.text
    found: list[dict[str, Any]] = answer.json()["settings"]["application"]["media"]["providers"]
    return found


async def test_providers_are_kept_replaced_and_forgotten_and_never_show_a_secret(fresh: Door) -> None:
    for given in ([BEARER], [BASIC], [{**BEARER, "config": {"bearer": "another"}}], BASIC):
        assert (await fresh.http.post(PROVIDERS, json=given)).status_code == 200
    assert [one["name"] for one in await listed(fresh)] == ["files", "more"]
    assert (await listed(fresh))[1] == {
        "name": "more", "type": "www", "config": {"basic": {"username": "me", "password": "********"}}, "hosts": ["files.example.com"]
    }  # fmt: skip
    kept = await fresh.ports.db.read(lambda tx: providers.find(tx, "files"))
    assert kept is not None and kept.bearer == "another" and "another" not in repr(kept)
    assert (await fresh.http.delete(f"{PROVIDERS}/files")).status_code == 200
    assert (await fresh.http.delete(f"{PROVIDERS}/files")).status_code == 404
    assert [one["name"] for one in await listed(fresh)] == ["more"]


@pytest.mark.parametrize(
    "given",
    [
        [], {}, [BEARER, BASIC], "x", 5, [{**BEARER, "name": "a b"}], [{**BEARER, "name": ""}], [{**BEARER, "type": "ftp"}],
        [{"name": "a"}], [{"name": "a", "config": {}}], [{"name": "a", "config": {"bearer": 1}}],
        [{"name": "a", "config": {"bearer": "a\r\nb: c"}}],
        [{"name": "a", "config": {"basic": {"username": "x"}}}],
        [{"name": "a", "config": {"bearer": "x", "basic": {"username": "a", "password": "b"}}}],
        [{**BEARER, "hosts": ["http://a"]}], [{**BEARER, "hosts": "a"}], [{**BEARER, "hosts": ["[::1"]}], [{**BEARER, "hosts": ["a\0"]}],
    ],
)  # fmt: skip
async def test_what_is_no_provider_is_refused(door: Door, given: Any) -> None:
    answer = await door.http.post(PROVIDERS, json=given)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["code"] in {1008, 1009}


@pytest.mark.parametrize(
    "config",
    [{"bearer": ["SECRETmarker"]}, {"bearer": {"a": "SECRETmarker"}}, {"basic": {"username": "me", "password": 70707070}},
     {"basic": {"username": ["SECRETmarker"], "password": "x"}}, {"basic": "SECRETmarker"}, {"bearer": "SECRETmarker\n"}],
)  # fmt: skip
async def test_a_secret_that_is_refused_is_not_shown(door: Door, config: Any) -> None:
    with capture_logs() as said:
        answer = await door.http.post(PROVIDERS, json=[{"name": "files", "config": config}])
    assert answer.status_code == 400
    assert not any(secret in answer.text + repr(said) for secret in ("SECRETmarker", "70707070"))


async def test_certificates_are_kept_shown_and_forgotten(fresh: Door) -> None:
    pem = trustme.CA().cert_pem.bytes()
    assert (await fresh.http.get(CA)).status_code == 404
    assert (await fresh.http.post(CA, content=pem, headers={"Content-Type": "text/plain"})).status_code == 200
    shown = await fresh.http.get(CA)
    assert (shown.status_code, shown.content, shown.headers["content-type"].partition(";")[0]) == (200, pem, "text/plain")
    assert await fresh.ports.db.read(lambda tx: settings.get(tx, settings.WEBHOOK_CA)) == pem.decode()
    assert (await fresh.http.delete(CA)).status_code == 200
    assert (await fresh.http.get(CA)).status_code == 404


@pytest.mark.parametrize("body", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff\xfe"])
async def test_what_is_no_certificate_is_refused(door: Door, body: bytes) -> None:
    assert (await door.http.post(CA, content=body)).status_code == 400
