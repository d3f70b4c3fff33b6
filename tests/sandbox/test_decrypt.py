"""Opening encrypted blobs: the vectors made by another client, and every check with its own damage."""

import base64
import hashlib
import json
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest

from satchel_sandbox.decrypt import Damaged, Stopped, expand, open_into
from satchel_sandbox.envelope import Media

from .crypt import Sealed, plaintext, seal, sidecar

VECTORS = json.loads((Path(__file__).parents[2] / "wire" / "media-encryption.json").read_text("utf-8"))["vectors"]


def opened(tmp_path: Path, sealed: Sealed, blob: bytes | None = None, **changes: Any) -> bytes:
    """Open it as a phone does; checks that nothing but the result is left."""
    source, target = tmp_path / "blob", tmp_path / "plain"
    source.write_bytes(sealed.blob if blob is None else blob)
    media = msgspec.convert(sealed.media("/v/x", **changes), Media)
    try:
        open_into(source, target, media, True, Event())
    finally:
        assert {file.name for file in tmp_path.iterdir()} <= {"blob", "plain"}
    return target.read_bytes()


def sha(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['mediaType']}-{v['plainLength']}")
def test_vectors(tmp_path: Path, vector: dict[str, Any]) -> None:
    plain = plaintext(vector["plainLength"])
    ours = seal(plain, vector["mediaType"], base64.b64decode(vector["mediaKeyBase64"]))
    # Long vectors carry no blob: ours must then be the vector's by its hash.
    blob = base64.b64decode(vector["encBlobBase64"]) if vector["encBlobBase64"] else ours.blob
    facts = {"file_enc_sha256": vector["fileEncSha256"]["base64"], "file_sha256": vector["fileSha256"]["base64"]}
    assert opened(tmp_path, ours, blob, **facts) == plain


@pytest.mark.parametrize("vector", VECTORS[:4], ids=lambda v: v["mediaType"])
def test_key_schedule(vector: dict[str, Any]) -> None:
    keys = expand(bytes.fromhex(vector["mediaKeyHex"]), vector["mediaType"])
    assert (keys.iv.hex(), keys.cipher.hex(), keys.mac.hex()) == (vector["ivHex"], vector["cipherKeyHex"], vector["macKeyHex"])


@pytest.mark.parametrize("length", [1, 15, 17, 262143, 262144, 262145, 524278, 524288, 1000003])
def test_lengths_around_the_block_borders(tmp_path: Path, length: int) -> None:
    assert opened(tmp_path, seal(plaintext(length), "document")) == plaintext(length)


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


SEALED = seal(plaintext(1000), "video")
DAMAGE: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "short": (bytes(10), {"file_enc_sha256": sha(bytes(10))}, "too short"),
    "changed": (flipped(SEALED.blob, 500), {}, "SHA-256 is not file_enc_sha256"),
    "mac": (flipped(SEALED.blob, -1), {"file_enc_sha256": sha(flipped(SEALED.blob, -1))}, "MAC does not fit"),
    "ciphertext": (flipped(SEALED.blob, 0), {"file_enc_sha256": sha(flipped(SEALED.blob, 0))}, "MAC does not fit"),
    "type": (SEALED.blob, {"type": "image"}, "MAC does not fit"),
    "key": (SEALED.blob, {"media_key": sha(b"another")}, "MAC does not fit"),
    "length": (SEALED.blob, {"file_length": 999}, "has 1000 bytes"),
    "plain": (SEALED.blob, {"file_sha256": sha(b"another")}, "SHA-256 is not file_sha256"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage(tmp_path: Path, name: str) -> None:
    blob, changes, reason = DAMAGE[name]
    with pytest.raises(Damaged, match=reason):
        opened(tmp_path, SEALED, blob, **changes)
    assert not (tmp_path / "plain").exists()


def test_the_blob_hash_is_judged_before_the_plain_one(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="file_enc_sha256"):
        opened(tmp_path, SEALED, file_enc_sha256=sha(b"x"), file_sha256=sha(b"y"), file_length=1)


def test_stop_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(SEALED.blob)
    media = msgspec.convert(SEALED.media("/v/x"), Media)
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        open_into(tmp_path / "blob", tmp_path / "plain", media, True, stop)
    assert [file.name for file in tmp_path.iterdir()] == ["blob"]


SIDECARS = json.loads((Path(__file__).parents[2] / "wire" / "streaming-sidecar.json").read_text("utf-8"))["vectors"]


@pytest.mark.parametrize("vector", SIDECARS, ids=lambda v: f"{v['mediaType']}-{v['plainLength']}")
def test_sidecar_vectors(tmp_path: Path, vector: dict[str, Any]) -> None:
    sealed = seal(plaintext(vector["plainLength"]), vector["mediaType"], base64.b64decode(vector["mediaKeyBase64"]))
    assert base64.b64encode(sidecar(sealed)).decode() == vector["streamingSidecar"]
    assert opened(tmp_path, sealed, streaming_sidecar=vector["streamingSidecar"]) == sealed.plain


LONG = seal(plaintext(200_000), "video")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (flipped(sidecar(LONG), 0), "from byte 0 on"),
        (flipped(sidecar(LONG), 25), "from byte 131072 on"),
        (sidecar(LONG)[:-10], "from byte 196608 on"),
        (sidecar(LONG) + bytes(10), "has 50 bytes, the encrypted blob needs 40"),
        (b"", "from byte 0 on"),
    ],
)
def test_a_damaged_sidecar(tmp_path: Path, wrong: bytes, reason: str) -> None:
    with pytest.raises(Damaged, match=reason):
        opened(tmp_path, LONG, streaming_sidecar=base64.b64encode(wrong).decode())
    assert not (tmp_path / "plain").exists()
