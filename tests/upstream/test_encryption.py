"""The encrypted blob: against vectors of another client, and opened again by a plain implementation of the page."""

import base64
import hashlib
import hmac
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from satchel.domain.limits import encrypted_size
from satchel.upstream.sandbox import encryption
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

    def readinto(self, buffer: Any, /) -> int:
        part = self.data[self.offset : self.offset + min(len(buffer), 7_001)]
        self.offset += len(part)
        buffer[: len(part)] = part
        return len(part)

    def write(self, data: Any, /) -> int:
        self.data += bytes(data[:9_001])
        return min(len(data), 9_001)


def test_short_reads_and_writes_lose_nothing() -> None:
    plain, into = plaintext(BLOCK + 77), Dribble()
    sealed = encrypt(Dribble(plain), into, "document", KEY)  # type: ignore[arg-type]
    assert opened(into.data, "document", KEY) == plain
    assert sealed.file_length == len(plain)


@pytest.mark.parametrize("size", [BLOCK * 5, 3 * (1 << 20) + 5, 9 * (1 << 20)])
@pytest.mark.parametrize("media_type", ["document", "video"])
def test_hashing_beside_changes_nothing(size: int, media_type: str) -> None:
    plain, alone, beside = plaintext(size), io.BytesIO(), io.BytesIO()
    assert encrypt(io.BytesIO(plain), alone, media_type, KEY) == encrypt(io.BytesIO(plain), beside, media_type, KEY, size)
    assert alone.getvalue() == beside.getvalue()


def test_a_disk_that_fills_in_the_middle_ends_the_thread_beside_and_frees_its_place() -> None:
    class Full(io.RawIOBase):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    before = threading.active_count()
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            encrypt(io.BytesIO(plaintext(4 << 20)), Full(), "document", KEY, 4 << 20)  # type: ignore[arg-type]
    assert threading.active_count() == before
    assert not encryption._beside.locked()


def test_large_files_beside_each_other_come_out_right() -> None:
    plain = plaintext(4 << 20)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: encrypt(io.BytesIO(plain), io.BytesIO(), "document", KEY, len(plain)), range(6)))
    assert len(set(made)) == 1


def test_sidecars_are_those_of_another_client() -> None:
    told = [vector for vector in VECTORS if "streamingSidecarHex" in vector]
    assert len(told) > 3
    for vector in told:
        media_key = bytes.fromhex(vector["mediaKeyHex"])
        sealed = encrypt(io.BytesIO(plaintext(vector["plainLength"])), io.BytesIO(), vector["mediaType"], media_key)
        assert sealed.sidecar is not None and sealed.sidecar.hex() == vector["streamingSidecarHex"]


@pytest.mark.parametrize("length", [0, 65503, 65504, 65509, 65510, 65519, 65520, 131_072, 200_001])
def test_a_sidecar_covers_the_iv_and_the_mac_window_by_window(length: int) -> None:
    blob = io.BytesIO()
    sealed = encrypt(io.BytesIO(plaintext(length)), blob, "audio", KEY)
    okm = stretched(KEY, "audio")
    whole = okm[:16] + blob.getvalue()
    windows = [whole[start : start + 65_552] for start in range(0, len(whole), 65_536)]
    assert sealed.sidecar == b"".join(hmac.digest(okm[48:80], window, "sha256")[:10] for window in windows)


def test_pictures_and_documents_have_no_sidecar() -> None:
    assert encrypt(io.BytesIO(b"x"), io.BytesIO(), "image", KEY).sidecar is None


@pytest.mark.parametrize("size", [0, 17, BLOCK, 5 * BLOCK + 3])
@pytest.mark.parametrize("media_type", ["image", "video"])
def test_what_is_known_of_a_blob_is_not_found_out_again(media_type: str, size: int) -> None:
    first, again = io.BytesIO(), io.BytesIO()
    sealed = encrypt(io.BytesIO(plaintext(size)), first, media_type, KEY, size)
    known = encryption.Sealed(b"", sealed.file_enc_sha256, sealed.file_length, sealed.sidecar)
    assert encrypt(io.BytesIO(plaintext(size)), again, media_type, KEY, size, known) == sealed
    assert again.getvalue() == first.getvalue()
    other = encrypt(io.BytesIO(plaintext(size + 1)), io.BytesIO(), media_type, KEY, size, known)
    assert other.file_sha256 != sealed.file_sha256  # by which a caller tells
