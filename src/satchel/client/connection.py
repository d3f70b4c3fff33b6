"""Connections to an address, plain or over TLS, and in words what is wrong with one."""

import http.client
import ssl
from urllib.parse import urlsplit

BLOCK = 256 * 1024
TIMEOUT = 300.0
"""Seconds that the other side may stay silent."""


class Unreachable(Exception):
    """Nobody answers at the address, or the connection broke."""


def connect(url: str, ca: str | None = None) -> tuple[http.client.HTTPConnection, str]:
    """A connection to an address, not opened yet, and the path it stands at. Raises `Unreachable` for what is no address.

    `ca`: a PEM file of certificates to trust over https, besides the machine's own.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable(f"{url} is no address such as http://127.0.0.1:9090.")
    path = parts.path.rstrip("/")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT, blocksize=BLOCK), path
    context = _trust(ca)
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT, blocksize=BLOCK, context=context), path


def _trust(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise Unreachable(f"The CA file {ca} cannot be used ({error.strerror or error}): name a PEM file that can be read.") from error
    return context


def why(url: str, error: Exception) -> str:
    """What a person can do about an address that does not answer as it should."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {url} is not trusted ({error.verify_message}): name the PEM file of its CA in SATCHEL_CA."
    if isinstance(error, ssl.SSLError):
        return f"{url} does not speak TLS as it should ({error.reason}): is the node there started with https?"
    return (
        f"{url} does not answer as it should ({type(error).__name__}): is the node running there, and with http or https as in the address?"
    )
