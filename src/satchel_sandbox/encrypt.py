"""Making an encrypted blob of what a phone sends (docs/reference/media-encryption.md). Blocking: call it from a thread.

The other direction is `decrypt.py`. Plain bytes never reach the media server: only what this makes does.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import BinaryIO

from .copies import token_of
from .decrypt import MAC_BYTES, expand
from .envelope import MediaType
from .files import PartFile

_BLOCK = 256 * 1024


@dataclass(frozen=True)
class Sealed:
    """What its receiver must know, key and address apart. `size`: bytes of the blob, `length`: of the plain file."""

    file_sha256: bytes
    file_enc_sha256: bytes
    length: int
    size: int

    @property
    def token(self) -> str:
        return token_of(self.file_enc_sha256)


def seal_into(plain: BinaryIO, part: PartFile, media_key: bytes, media_type: MediaType) -> Sealed:
    """Write the blob of a plain file, block by block."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # late: the first message pays, not the start-up
    from cryptography.hazmat.primitives.padding import PKCS7

    keys = expand(media_key, media_type)
    cipher, padding = Cipher(algorithms.AES(keys.cipher), modes.CBC(keys.iv)).encryptor(), PKCS7(128).padder()
    digest, blob, mac = hashlib.sha256(), hashlib.sha256(), hmac.new(keys.mac, keys.iv, hashlib.sha256)
    length = size = 0

    def put(sealed: bytes) -> None:
        nonlocal size
        part.write(sealed)
        blob.update(sealed)
        size += len(sealed)

    def take(padded: bytes) -> None:
        sealed = cipher.update(padded)
        mac.update(sealed)
        put(sealed)

    while block := plain.read(_BLOCK):
        digest.update(block)
        length += len(block)
        take(padding.update(block))
    take(padding.finalize())
    put(mac.digest()[:MAC_BYTES])
    return Sealed(digest.digest(), blob.digest(), length, size)
