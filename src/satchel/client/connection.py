"""Connections to an address, plain or over TLS, and in words what is wrong with one."""

import http.client
import ssl
from urllib.parse import urlsplit

from satchel.client.errors import NobodyListens as NobodyListens
from satchel.client.errors import Unreachable as Unreachable

BLOCK = 256 * 1024
TIMEOUT = 300.0
"""Seconds that the other side may stay silent."""
Trusted = ssl.SSLContext | str | None
"""Over https: a PEM file of certificates to trust besides the machine's own, or what `trust` made of it, for many connections."""


def connect(url: str, trusted: Trusted = None, timeout: float = TIMEOUT) -> tuple[http.client.HTTPConnection, str]:
    """A connection to an address, not opened yet, and the path it stands at; an address of the API, with /v1 at its end, is the node's.

    Raises `Unreachable` for what is no address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise Unreachable(f"{url} is no address such as http://127.0.0.1:9090.")
    path = parts.path.rstrip("/").removesuffix("/v1")
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout, blocksize=BLOCK), path
    context = trusted if isinstance(trusted, ssl.SSLContext) else trust(trusted)
    return http.client.HTTPSConnection(host, port, timeout=timeout, blocksize=BLOCK, context=context), path


def fetch(url: str, path: str, trusted: Trusted = None, timeout: float = TIMEOUT) -> tuple[int, bytes]:
    """HTTP status and body of a GET without a token. Raises `Unreachable`, and `NobodyListens` where that is so."""
    connection, prefix = connect(url, trusted, timeout)
    try:
        connection.request("GET", prefix + path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except ConnectionRefusedError as error:
        raise NobodyListens(why(url, error)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(why(url, error)) from error
    finally:
        connection.close()


def trust(ca: str | None) -> ssl.SSLContext:
    """The machine's certificates, and those of a PEM file. Raises `Unreachable` for a file that cannot be used."""
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise Unreachable(f"The CA file {ca} cannot be used ({error.strerror or error}): name a PEM file that can be read.") from error
    return context


def trust_anybody() -> ssl.SSLContext:
    """For a look whether somebody is there, where nothing is told that matters."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def why(url: str, error: Exception) -> str:
    """What a person can do about an address that does not answer as it should."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {url} is not trusted ({error.verify_message}): name the PEM file of its CA in SATCHEL_CA."
    if isinstance(error, ssl.SSLError):
        return f"{url} does not speak TLS as it should ({error.reason}): is the node there started with https?"
    if isinstance(error, ConnectionRefusedError):
        return f"Nobody listens at {url}: start the node there, or set SATCHEL_URL to where it is."
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
        return f"{url} hung up without an answer: is it a node, and with http or https as in the address?"
    said = getattr(error, "strerror", None) or type(error).__name__
    return f"{url} does not answer as it should ({said}): is the node running there, and with http or https as in the address?"
