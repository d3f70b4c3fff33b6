"""Both sides of docs/reference/media-encryption.md, written for the tests only: what node and sandbox do is held against it."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

INFO = {"image": "Image", "sticker": "Image", "video": "Video", "audio": "Audio", "document": "Document"}


def plaintext(length: int) -> bytes:
    """The rule in wire/media-encryption.json."""
    blocks = (hashlib.sha256(b"satchel-vector-v1" + i.to_bytes(8, "big")).digest() for i in range(length // 32 + 1))
    return b"".join(blocks)[:length]


@dataclass(frozen=True)
class Sealed:
    """An encrypted blob and what its receiver must know."""

    type: str
    plain: bytes
    key: bytes
    blob: bytes

    @property
    def token(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.blob).digest()).rstrip(b"=").decode()

    @property
    def kind(self) -> str:
        return "image" if self.type == "sticker" else self.type

    def media(self, direct_path: str, mime_type: str = "image/jpeg", **other: Any) -> dict[str, Any]:
        return {
            "type": self.type,
            "mime_type": mime_type,
            "media_key": b64(self.key),
            "direct_path": direct_path,
            "file_sha256": b64(hashlib.sha256(self.plain).digest()),
            "file_enc_sha256": b64(hashlib.sha256(self.blob).digest()),
            "file_length": len(self.plain),
            **other,
        }


def seal(plain: bytes, media_type: str = "image", key: bytes = bytes(range(32))) -> Sealed:
    info = f"WhatsApp {INFO[media_type]} Keys".encode()
    okm = HKDF(hashes.SHA256(), 112, None, info).derive(key)
    padder, cipher = PKCS7(128).padder(), Cipher(algorithms.AES(okm[16:48]), modes.CBC(okm[:16])).encryptor()
    ciphertext = cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()
    mac = hmac.digest(okm[48:80], okm[:16] + ciphertext, "sha256")[:10]
    return Sealed(media_type, plain, key, ciphertext + mac)


def opened(media: dict[str, Any], blob: bytes) -> bytes:
    """The plain bytes of a blob, by what its message says; every check made."""
    key, plain_sha, blob_sha = (base64.b64decode(media[name]) for name in ("media_key", "file_sha256", "file_enc_sha256"))
    assert hashlib.sha256(blob).digest() == blob_sha
    okm = HKDF(hashes.SHA256(), 112, None, f"WhatsApp {INFO[media['type']]} Keys".encode()).derive(key)
    assert hmac.digest(okm[48:80], okm[:16] + blob[:-10], "sha256")[:10] == blob[-10:]
    cipher, padding = Cipher(algorithms.AES(okm[16:48]), modes.CBC(okm[:16])).decryptor(), PKCS7(128).unpadder()
    plain = padding.update(cipher.update(blob[:-10]) + cipher.finalize()) + padding.finalize()
    assert (hashlib.sha256(plain).digest(), len(plain)) == (plain_sha, media["file_length"])
    return plain


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sidecar(sealed: Sealed) -> bytes:
    """The streaming sidecar, read off the rule: windows of 64 KiB and 16 bytes over IV, ciphertext and MAC."""
    okm = HKDF(hashes.SHA256(), 112, None, f"WhatsApp {INFO[sealed.type]} Keys".encode()).derive(sealed.key)
    whole = okm[:16] + sealed.blob
    return b"".join(hmac.digest(okm[48:80], whole[at : at + 65552], "sha256")[:10] for at in range(0, len(whole), 65536))
