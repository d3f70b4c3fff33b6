"""`satchel dev --https`: everything that talks to the node does so over TLS."""

import hashlib
import os
import shlex
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from satchel.cli import doctor
from satchel.client import Client, Target, Unreachable

from .dev import Dev, environment, satchel

PASSWORD = "Quay-Lantern-42"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    dev = Dev(tmp_path_factory.mktemp("https"), "--https", SATCHEL_ADMIN_PASSWORD=PASSWORD)
    yield dev
    dev.stop()


def test_a_photo_goes_all_the_way_and_its_status_comes_back(dev: Dev, photo: Path) -> None:
    assert dev.state["url"] == dev.url
    assert dev.state["ca"] == str(dev.folder / ".satchel/tls/ca.pem")
    sent = satchel("send", "image", "--to", "12025550111", str(photo), cwd=dev.folder)
    assert (sent.returncode, sent.stderr) == (0, "")
    answer = httpx2.get(f"{dev.state['sandbox_url']}/sandbox/phones/12025550111/messages", params={"wait": "10s"}, trust_env=False)
    assert answer.json()["messages"][0]["media"]["state"] == "downloaded"
    assert "the node does not answer" not in dev.output().partition("  API ")[2]  # before, it may not be there yet
    assert "Traceback" not in dev.output()


def test_the_banners_lines_work_as_they_are(dev: Dev, photo: Path) -> None:
    (dev.folder / "photo.jpg").write_bytes(photo.read_bytes())
    output = dev.output()
    lines = output[output.index("  TOKEN=") : output.index("  Ctrl-C")].split("  curl -s -o")[0]
    assert f"--cacert {shlex.quote(dev.state['ca'])}" in lines
    done = subprocess.run(
        ["bash", "-euc", lines],
        cwd=dev.folder,
        env=environment(SATCHEL_ADMIN_PASSWORD=PASSWORD),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"state":"downloaded"' in done.stdout


def test_a_hundred_megabytes_come_back_as_they_were(dev: Dev, tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    with (tmp_path / "big").open("wb") as file:
        for number in range(100):
            file.write(block[number:] + block[:number])
    client = Client(Target(dev.url, dev.state["token"], dev.state["ca"]))
    media_id = client.upload(tmp_path / "big").id
    received = hashlib.sha256()
    with client.get(media_id) as download:
        for part in download.blocks:
            received.update(part)
    assert received.hexdigest() == hashlib.sha256((tmp_path / "big").read_bytes()).hexdigest()


@pytest.mark.parametrize("said", [b"GET /_satchel/livez HTTP/1.1\r\nHost: x\r\n\r\n", bytes(range(256)) * 64, b"\x16\x03\x01"])
def test_what_is_no_tls_is_turned_away_and_the_node_goes_on(dev: Dev, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", dev.port), timeout=5) as plain:
        plain.sendall(said)
        plain.shutdown(socket.SHUT_WR)
        try:
            while plain.recv(4096):
                pass
        except ConnectionResetError:
            pass
    trusted = ssl.create_default_context(cafile=dev.state["ca"])
    assert httpx2.get(f"{dev.url}/_satchel/livez", verify=trusted, trust_env=False).status_code == 200
    assert "Traceback" not in dev.output()


def test_an_untrusted_certificate_is_a_sentence_and_exit_8(dev: Dev, tmp_path: Path) -> None:
    arguments = ("media", "rm", "0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11", "--url", dev.url)
    found = satchel(*arguments, cwd=tmp_path, SATCHEL_TOKEN="x")
    assert (found.returncode, found.stderr.count("\n")) == (8, 1)
    assert "is not trusted" in found.stderr
    assert "SATCHEL_CA" in found.stderr
    trusted = satchel(*arguments, cwd=tmp_path, SATCHEL_TOKEN="x", SATCHEL_CA=dev.state["ca"])
    assert (trusted.returncode, "HTTP 401" in trusted.stderr) == (4, True)
    missing = satchel(*arguments, cwd=tmp_path, SATCHEL_TOKEN="x", SATCHEL_CA="/nowhere.pem")
    assert (missing.returncode, "/nowhere.pem" in missing.stderr) == (8, True)


def test_plain_http_to_it_says_that_it_may_be_https(dev: Dev) -> None:
    with pytest.raises(Unreachable, match="http or https"):
        Client(Target(dev.url.replace("https", "http"), "x")).delete("x")


def test_doctor_finds_it_under_either_scheme(dev: Dev) -> None:
    for schemes in (("http", "https"), ("https", "http")):
        found = doctor.port(f"127.0.0.1:{dev.port}", schemes)
        assert (found.level, found.text) == ("ok", f"a node answers at {dev.url}")


def test_an_operators_certificate_is_for_serve(tmp_path: Path) -> None:
    given = {"SATCHEL_WEBAPP__TLS_CERTIFICATE": "a.pem", "SATCHEL_WEBAPP__TLS_KEY": "b.pem"}
    found = satchel("dev", cwd=tmp_path, **given)
    assert (found.returncode, found.stderr.count("\n")) == (3, 1)
    assert "SATCHEL_WEBAPP__TLS_CERTIFICATE" in found.stderr
