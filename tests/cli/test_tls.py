"""Certificates: our own is made once, kept private and renewed; the operator's are refused with a sentence when they cannot be used."""

import datetime
import ssl
import stat
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key

from satchel.cli import tls
from satchel.settings import SettingsError, load

from .dev import satchel

NAMES = ("localhost", "127.0.0.1", "::1")


def contents(made: tls.Own) -> list[bytes]:
    return [path.read_bytes() for path in (made.certificate, made.key, made.ca)]


def names(made: tls.Own) -> set[str]:
    leaf = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    return {str(name.value) for name in leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}


def test_our_own_is_made_once_and_its_key_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Quay-7.example")
    made = tls.own(tmp_path, "192.0.2.7")
    assert names(made) == {*NAMES, "quay-7.example", "192.0.2.7"}
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    leaf = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    assert 820 < (leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days <= 825
    before = contents(made)
    assert contents(tls.own(tmp_path, "192.0.2.7")) == before
    assert contents(tls.own(tmp_path, "0.0.0.0")) == before


@pytest.mark.parametrize("host", ["a_host", "-x", "a..b", "x--y"])
def test_a_host_that_no_certificate_can_name_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert names(tls.own(tmp_path, "::")) == set(NAMES)


@pytest.mark.parametrize("why", ["expired", "another name", "damaged", "key of another", "ca of another", "gone"])
def test_one_that_no_longer_serves_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    made = tls.own(tmp_path, "127.0.0.1")
    ca = trustme.CA()
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    old = ca.issue_cert(*NAMES, not_after=soon, not_before=soon - datetime.timedelta(days=9))
    match why:
        case "expired":
            made.certificate.write_bytes(old.cert_chain_pems[0].bytes())
            made.key.write_bytes(old.private_key_pem.bytes())
            made.ca.write_bytes(ca.cert_pem.bytes())
        case "damaged":
            made.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
        case "key of another":
            made.key.write_bytes(old.private_key_pem.bytes())
        case "ca of another":
            made.ca.write_bytes(ca.cert_pem.bytes())
        case "gone":
            made.key.unlink()
    before = made.certificate.read_bytes()
    again = tls.own(tmp_path, "node.example" if why == "another name" else "127.0.0.1")
    assert again.certificate.read_bytes() != before
    assert ("node.example" in names(again)) == (why == "another name")
    trusting = ssl.create_default_context(cafile=again.ca)
    assert len(trusting.get_ca_certs()) == 1
    assert tls.context(load(tmp_path, {}, flags=flags(again.certificate, again.key))) is not None


def flags(certificate: Path, key: Path) -> dict[str, tuple[str, str]]:
    return {"webapp.tls_certificate": (str(certificate), "--tls-cert"), "webapp.tls_key": (str(key), "--tls-key")}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The operator's certificate and key."""
    leaf = trustme.CA().issue_cert("node.example")
    certificate, key = tmp_path / "node.pem", tmp_path / "node.key"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    return certificate, key


def test_a_good_pair_is_taken_and_none_is_plain_http(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    assert tls.context(load(tmp_path, {}, flags=flags(*pair))) is not None
    assert tls.context(load(tmp_path, {}, toml=tmp_path / "none.toml")) is None


@pytest.mark.parametrize(
    ("why", "at_fault", "said"),
    [
        ("no certificate", 0, "cannot be read (No such file"),
        ("certificate is none", 0, "no TLS certificate"),
        ("no key", 1, "cannot be read (No such file"),
        ("key is none", 1, "no private key"),
        ("mismatch", 1, "does not belong to the certificate"),
        ("passphrase", 1, "has a passphrase"),
    ],
)
def test_bad_files_are_named_with_what_to_do(tmp_path: Path, pair: tuple[Path, Path], why: str, at_fault: int, said: str) -> None:
    certificate, key = pair
    match why:
        case "no certificate" | "no key":
            pair[at_fault].unlink()
        case "certificate is none":
            certificate.write_bytes(key.read_bytes())
        case "key is none":
            key.write_bytes(certificate.read_bytes())
        case "mismatch":
            key.write_bytes(trustme.CA().issue_cert("node.example").private_key_pem.bytes())
        case "passphrase":
            private = load_pem_private_key(key.read_bytes(), None)
            key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hidden")))
    with pytest.raises(SettingsError) as caught:
        tls.context(load(tmp_path, {}, flags=flags(certificate, key)))
    assert str(pair[at_fault]) in str(caught.value)
    assert said in str(caught.value)


def test_serve_refuses_before_it_starts_anything(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    pair[1].write_text("nonsense")
    found = satchel("serve", "--data-dir", "data", "--tls-cert", str(pair[0]), "--tls-key", str(pair[1]), cwd=tmp_path)
    assert found.returncode == 3
    assert found.stderr.splitlines()[-1].startswith(f"satchel: {pair[1]} is no private key")
    assert not (tmp_path / "data" / "satchel.db").exists()
    both = satchel("serve", "--https", "--tls-cert", "x", cwd=tmp_path)
    assert (both.returncode, both.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / ".satchel").exists()
