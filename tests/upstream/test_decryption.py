"""Opening encrypted blobs against another client's vectors, in blocks of any size, and everything that must not be taken for good."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from satchel.upstream.sandbox.decryption import Damaged, Opening
from satchel.upstream.sandbox.incoming import Source, read, without_key

from ..sandbox.crypt import plaintext, seal

WIRE = Path(__file__).parents[2] / "wire"
VECTORS = json.loads((WIRE / "media-encryption.json").read_text("utf-8"))["vectors"]
RECEIVED = json.loads((WIRE / "received.json").read_text("utf-8"))
SIZES = [0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 4096, 70_001]


def source(type_: str, plain: bytes, **changes: Any) -> tuple[Source, bytes]:
    sealed = seal(plain, type_)
    media = sealed.media("/v/x")
    said = {name: base64.b64decode(media[name]) for name in ("media_key", "file_sha256", "file_enc_sha256")}
    whole: dict[str, Any] = {"type": type_, "direct_path": "/v/x", "file_length": len(plain), **said, **changes}
    return Source(**whole), sealed.blob


def opened(wanted: Source, blob: bytes, block: int) -> bytes:
    opening = Opening(wanted)
    return b"".join([opening.take(blob[at : at + block]) for at in range(0, len(blob), block)]) + opening.finish()


IN_BLOCKS = [(size, block) for size in SIZES for block in (1, 7, 16, 26, 1000, 1 << 20) if size <= 5000 or block >= 16]
"""Large files in tiny blocks would be slow and say nothing new."""


@pytest.mark.parametrize(("size", "block"), IN_BLOCKS)
def test_every_size_in_blocks_of_every_size(size: int, block: int) -> None:
    plain = bytes(range(256)) * (size // 256 + 1)
    wanted, blob = source("document", plain[:size])
    assert opened(wanted, blob, block) == plain[:size]


@pytest.mark.parametrize("vector", [one for one in VECTORS if one.get("encBlobBase64")], ids=lambda one: one["uploadToken"][:8])
def test_blobs_of_another_client_open(vector: dict[str, Any]) -> None:
    length, key = int(vector["plainLength"]), bytes.fromhex(vector["mediaKeyHex"])
    plain, blob = (bytes.fromhex(vector[name]["hex"]) for name in ("fileSha256", "fileEncSha256"))
    wanted = Source(vector["mediaType"], key, "/v/x", plain, blob, length)
    assert opened(wanted, base64.b64decode(vector["encBlobBase64"]), 1000) == plaintext(length)


def test_events_are_read_as_the_vectors_say() -> None:
    for vector in RECEIVED:
        found = read({name: value for name, value in vector["event"].items() if value is not None})
        assert (found and found.message.type) == vector["told"], vector["name"]


def test_a_kept_event_has_no_key() -> None:
    for vector in RECEIVED:
        assert "AQEBAQ" not in json.dumps(without_key(vector["event"])), vector["name"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file_enc_sha256": bytes(32)}, "file_enc_sha256"),
        ({"media_key": bytes(32)}, "MAC"),
        ({"type": "video"}, "MAC"),
        ({"file_sha256": bytes(32)}, "file_sha256"),
        ({"file_length": 99}, "file_length"),
        ({"file_length": 10}, "more bytes"),
        ({"file_length": 1000}, "cut short"),
    ],
)
def test_what_does_not_fit_is_damaged(changes: dict[str, Any], said: str) -> None:
    wanted, blob = source("image", bytes(100), **changes)
    with pytest.raises(Damaged, match=said):
        opened(wanted, blob, 64)


@pytest.mark.parametrize("at", range(0, 122, 11))
def test_a_flipped_bit_is_damaged_wherever_it_is(at: int) -> None:
    wanted, blob = source("image", bytes(100))
    flipped = bytearray(blob)
    flipped[at] ^= 0x80
    with pytest.raises(Damaged):
        opened(wanted, bytes(flipped), 50)


def test_a_source_shows_no_key() -> None:
    wanted, _ = source("image", b"x")
    assert repr(wanted) == "Source(image, /v/x)"
