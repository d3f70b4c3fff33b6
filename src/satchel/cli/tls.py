"""Certificates: the operator's are checked before anything starts; `--https` makes one of our own and goes on using it."""

import contextlib
import datetime
import fcntl
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from satchel.cli import private
from satchel.settings import Settings, SettingsError

LIFE = datetime.timedelta(days=825)
"""What clients accept at most."""
ANY = {"0.0.0.0", "::"}
LABEL = r"[a-z0-9]+(?:-[a-z0-9]+)*"
HOST = re.compile(rf"{LABEL}(?:\.{LABEL})*", re.ASCII)


@dataclass(frozen=True)
class Own:
    """A certificate of our own making, its private key (0600), and the CA that clients need to trust."""

    certificate: Path
    key: Path
    ca: Path

    def flags(self) -> list[str]:
        """What makes `satchel serve` use it."""
        return ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]


def context(settings: Settings) -> ssl.SSLContext | None:
    """What Webapp speaks TLS with; None for plain http. Raises `SettingsError` that names the file which cannot be used."""
    certificate, key = settings.webapp.tls_certificate, settings.webapp.tls_key
    if certificate is None or key is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.set_alpn_protocols(["http/1.1"])
    try:
        made.load_cert_chain(certificate, key, password=lambda: "")  # without one OpenSSL would ask on the terminal
    except OSError as error:
        raise SettingsError(_trouble(certificate, key) or f"{certificate} and {key} cannot be used for TLS: {error}.") from error
    return made


def _trouble(certificate: Path, key: Path) -> str | None:
    """Which of two files is at fault, and what to do."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        public = x509.load_pem_x509_certificates(certificate.read_bytes())[0].public_key()
    except OSError as error:
        return f"The TLS certificate {certificate} cannot be read ({error.strerror}): check its path and permissions."
    except ValueError:
        return f"{certificate} is no TLS certificate: give a PEM file that begins with BEGIN CERTIFICATE, the chain after it."
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        return f"The TLS key {key} cannot be read ({error.strerror}): check its path and permissions."
    except TypeError:
        return f"The TLS key {key} has a passphrase, and nobody is there to type it: write it without one (openssl pkey -in {key} -out …)."
    except ValueError:
        return f"{key} is no private key: give the PEM file that belongs to {certificate}."
    if private.public_key() != public:
        return f"The TLS key {key} does not belong to the certificate {certificate}: give the two that were made together."
    return None


def own(data_dir: Path, bind_host: str) -> Own:
    """Our certificate for this machine and the address it listens at; made anew when it has expired or lacks a name."""
    folder = data_dir / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    found = Own(folder / "certificate.pem", folder / "key.pem", folder / "ca.pem")
    names = _names(bind_host)
    with _locked(folder):
        if not _good(found, names):
            _make(found, names)
    return found


def _names(bind_host: str) -> list[str]:
    """What the certificate must say. A host may be called what no certificate can say: then it goes without."""
    names = ["localhost", "127.0.0.1", "::1"]
    for name in (socket.gethostname().lower(), bind_host.lower()):
        if name not in (*ANY, *names) and (HOST.fullmatch(name) or ":" in name):
            names.append(str(ipaddress.ip_address(name)) if ":" in name else name)
    return names


def _good(found: Own, names: list[str]) -> bool:
    """Whether the files are there, belong together, say all the names and count for another day at least."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        leaf, ca = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (found.certificate, found.ca))
        key = load_pem_private_key(found.key.read_bytes(), None)
        leaf.verify_directly_issued_by(ca)
        said = {str(name.value) for name in leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    lasts = leaf.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    return lasts and key.public_key() == leaf.public_key() and set(names) <= said


def _make(found: Own, names: list[str]) -> None:
    """The CA's own key is kept nowhere: it signs this one certificate."""
    import trustme

    ca = trustme.CA(organization_name="Satchel")
    leaf = ca.issue_cert(*names, organization_name="Satchel", not_after=datetime.datetime.now(datetime.UTC) + LIFE)
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    for path, content in ((found.key, leaf.private_key_pem.bytes()), (found.certificate, chain), (found.ca, ca.cert_pem.bytes())):
        mode = 0o600 if path == found.key else 0o644
        private.write(path.with_suffix(".part"), content.decode(), mode).replace(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
