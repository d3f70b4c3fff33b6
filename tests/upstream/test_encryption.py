"""The encrypted blob: against vectors of another client, and opened again by a plain implementation of the page."""

import base64
import hashlib
import hmac
import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from satchel.domain.limits import encrypted_size
from satchel.upstream.sandbox.encryption import BLOCK, encrypt
from satchel.upstream.sandbox.wire import upload_token

VECTORS = json.loads((Path(__file__).parents[2] / "wire" / "media-encryption.json").read_text("utf-8"))["vectors"]
KEY = bytes(range(32))
INFO = {"image": "Image", "sticker": "Image", "video": "Video", "audio": "Audio", "document": "Document"}
SIZES = [0, 1, 15, 16, 17, 31, 32, 33, BLOCK - 17, BLOCK - 16, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 16, 2 * BLOCK, 3 * BLOCK + 5]


def plaintext(length: int) -> bytes:
    """The rule in the vectors' `about`."""
    blocks = (hashlib.sha256(b"satchel-vector-v1" + i.to_bytes(8, "big")).digest() for i in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def stretched(media_key: bytes, media_type: str) -> bytes:
    """HKDF with SHA-256 and no salt, written out: 112 bytes."""
    secret, okm, last = hmac.digest(bytes(32), media_key, "sha256"), b"", b""
    for counter in range(1, 5):
        last = hmac.digest(secret, last + f"WhatsApp {INFO[media_type]} Keys".encode() + bytes([counter]), "sha256")
        okm += last
    return okm[:112]


def opened(blob: bytes, media_type: str, media_key: bytes) -> bytes:
    """The plain bytes of a blob whose MAC and padding are right."""
    okm = stretched(media_key, media_type)
    ciphertext, mac = blob[:-10], blob[-10:]
    assert mac == hmac.digest(okm[48:80], okm[:16] + ciphertext, "sha256")[:10]
    decryptor = Cipher(algorithms.AES(okm[16:48]), modes.CBC(okm[:16])).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    assert padded[-padded[-1] :] == bytes([padded[-1]]) * padded[-1]
    assert 1 <= padded[-1] <= 16
    return padded[: -padded[-1]]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['mediaType']}-{vector['plainLength']}")
def test_vectors_of_another_client(vector: dict[str, Any]) -> None:
    into = io.BytesIO()
    sealed = encrypt(io.BytesIO(plaintext(vector["plainLength"])), into, vector["mediaType"], bytes.fromhex(vector["mediaKeyHex"]))
    blob = into.getvalue()
    assert len(blob) == vector["encLength"]
    assert blob[:32].hex() == vector["encFirst32Hex"]
    assert blob[-32:].hex() == vector["encLast32Hex"]
    assert vector["encBlobBase64"] is None or blob == base64.b64decode(vector["encBlobBase64"])
    assert sealed.file_sha256.hex() == vector["fileSha256"]["hex"]
    assert sealed.file_enc_sha256.hex() == vector["fileEncSha256"]["hex"] == hashlib.sha256(blob).hexdigest()
    assert sealed.file_length == vector["plainLength"]
    assert upload_token(sealed.file_enc_sha256) == vector["uploadToken"]


@pytest.mark.parametrize("media_type", INFO)
@pytest.mark.parametrize("size", SIZES)
def test_a_blob_opens_to_the_bytes_it_was_made_of(size: int, media_type: str) -> None:
    plain, into = plaintext(size), io.BytesIO()
    sealed = encrypt(io.BytesIO(plain), into, media_type, KEY)
    blob = into.getvalue()
    assert opened(blob, media_type, KEY) == plain
    assert len(blob) == encrypted_size(size)
    assert (sealed.file_sha256, sealed.file_enc_sha256) == (hashlib.sha256(plain).digest(), hashlib.sha256(blob).digest())
    assert sealed.file_length == size


def test_same_bytes_key_and_type_give_the_same_blob_and_any_other_key_another() -> None:
    def blob(key: bytes, media_type: str = "image", plain: bytes = b"plain bytes") -> bytes:
        into = io.BytesIO()
        encrypt(io.BytesIO(plain), into, media_type, key)
        return into.getvalue()

    assert blob(KEY) == blob(KEY) == blob(KEY, "sticker")
    assert len({blob(KEY), blob(bytes(32)), blob(KEY, "video"), blob(KEY, plain=b"plain bytez")}) == 4


class Dribble(io.RawIOBase):
    """Reads and writes fewer bytes than it is asked to, as raw files may."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.offset = data, 0

    def read(self, size: int = -1, /) -> bytes:
        part = self.data[self.offset : self.offset + min(size, 7_001)]
        self.offset += len(part)
        return part

    def write(self, data: Any, /) -> int:
        self.data += bytes(data[:9_001])
        return min(len(data), 9_001)


def test_short_reads_and_writes_lose_nothing() -> None:
    plain, into = plaintext(BLOCK + 77), Dribble()
    sealed = encrypt(Dribble(plain), into, "document", KEY)  # type: ignore[arg-type]
    assert opened(into.data, "document", KEY) == plain
    assert sealed.file_length == len(plain)
