"""The headers Repr-Digest (RFC 9530, sha-256) and Content-MD5: what the client says of the bytes it sends."""

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator, Mapping

from satchel.domain.errors import DIGEST_MISMATCH, PARAMETER_INVALID, Fault

SHA256 = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([^:]*):")


def sha256_of(headers: Mapping[str, str]) -> str | None:
    """The sha256 in hexadecimal that the body must have, if the client says one. Raises `Fault` for a malformed one."""
    found = SHA256.search(headers.get("repr-digest", ""))
    return _decoded("Repr-Digest", found[1], 32).hex() if found else None


def checked(blocks: AsyncIterator[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The same blocks, held against Content-MD5 at their end where there is one. Raises `Fault(DIGEST_MISMATCH)`."""
    given = headers.get("content-md5")
    return blocks if given is None else _against(blocks, _decoded("Content-MD5", given, 16))


async def _against(blocks: AsyncIterator[bytes], wanted: bytes) -> AsyncIterator[bytes]:
    md5 = hashlib.md5(usedforsecurity=False)
    async for block in blocks:
        md5.update(block)
        yield block
    if md5.digest() != wanted:
        raise Fault(DIGEST_MISMATCH, f"The bytes that came have the MD5 {md5.hexdigest()}, not {wanted.hex()}: send them again.")


def _decoded(header: str, text: str, length: int) -> bytes:
    try:
        decoded = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != length:
        raise Fault(PARAMETER_INVALID, f"The header {header} is malformed: it holds {length} bytes in base64.")
    return decoded
