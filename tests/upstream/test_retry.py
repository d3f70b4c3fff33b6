"""What a media retry says, on the node's side: the vectors of another client, and what must not open."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from satchel.upstream.sandbox.retry import Answer, Result, Sealed, Unreadable, open_answer, open_request, seal_answer, seal_request

VECTORS = json.loads((Path(__file__).parents[2] / "wire" / "media-retry.json").read_text("utf-8"))
KEY, ID = base64.b64decode(VECTORS["media_key"]), VECTORS["message"]


def sealed(vector: dict[str, Any]) -> Sealed:
    return Sealed(base64.b64decode(vector["enc_p"]), base64.b64decode(vector["enc_iv"]))


def name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=name)
def test_requests(vector: dict[str, Any]) -> None:
    if vector["valid"]:
        open_request(KEY, ID, sealed(vector))
    else:
        with pytest.raises(Unreadable):
            open_request(KEY, ID, sealed(vector))
    if vector["ours"]:
        assert seal_request(KEY, ID, sealed(vector).enc_iv) == sealed(vector)


@pytest.mark.parametrize("vector", VECTORS["answers"], ids=name)
def test_answers(vector: dict[str, Any]) -> None:
    if vector["result"] is None:
        with pytest.raises(Unreadable):
            open_answer(KEY, ID, sealed(vector))
        return
    expected = Answer(Result[vector["result"]], vector["direct_path"])
    assert open_answer(KEY, ID, sealed(vector)) == expected
    if vector["ours"]:
        assert seal_answer(KEY, ID, expected, sealed(vector).enc_iv) == sealed(vector)


def test_each_sealing_takes_a_new_iv() -> None:
    assert seal_request(KEY, ID).enc_iv != seal_request(KEY, ID).enc_iv


@pytest.mark.parametrize("size", [0, 8, 11, 13, 16])
def test_an_iv_of_another_length(size: int) -> None:
    with pytest.raises(Unreadable):
        open_request(KEY, ID, Sealed(seal_request(KEY, ID).enc_p, bytes(size)))


@given(at=some.integers(0, 44), bit=some.integers(0, 7))
def test_a_flipped_bit(at: int, bit: int) -> None:
    whole = seal_request(KEY, ID, bytes(12))
    changed = bytearray(whole.enc_p)
    changed[at % len(changed)] ^= 1 << bit
    with pytest.raises(Unreadable):
        open_request(KEY, ID, Sealed(bytes(changed), whole.enc_iv))


def test_another_key_another_message_and_too_much() -> None:
    for key, message, parcel in (
        (bytes(32), ID, seal_request(KEY, ID)),
        (KEY, "gBEGother", seal_request(KEY, ID)),
        (KEY, ID, Sealed(b"", bytes(12))),
        (KEY, ID, Sealed(bytes(1 << 20), bytes(12))),
    ):
        with pytest.raises(Unreadable):
            open_request(key, message, parcel)
