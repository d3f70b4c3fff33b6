"""The ceilings at the sizes that were published for them."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain.limits import ENCRYPTED_BYTES, UPLOAD_BYTES, encrypted_size

LARGEST = {"audio": 16_777_199, "video": 16_777_199, "document": 104_857_583, "image": 5_242_863, "sticker": 102_383}


def test_every_media_type_has_its_ceiling() -> None:
    assert set(ENCRYPTED_BYTES) == set(LARGEST)


@pytest.mark.parametrize(("media_type", "plain"), LARGEST.items())
def test_the_largest_plain_size_is_within_and_one_byte_more_is_over(media_type: str, plain: int) -> None:
    assert encrypted_size(plain) <= ENCRYPTED_BYTES[media_type] < encrypted_size(plain + 1)


def test_an_upload_may_be_as_large_as_the_largest_document() -> None:
    assert UPLOAD_BYTES == 104_857_600 > LARGEST["document"]


@pytest.mark.parametrize(("plain", "blob"), [(0, 26), (1, 26), (15, 26), (16, 42), (17, 42), (31, 42), (32, 58)])
def test_an_encrypted_blob_has_padding_and_ten_bytes_of_mac(plain: int, blob: int) -> None:
    assert encrypted_size(plain) == blob


@given(st.integers(0, 100_000))
def test_the_size_is_that_of_a_real_blob(plain: int) -> None:
    from satchel.upstream.sandbox.encryption import encrypt

    into = io.BytesIO()
    encrypt(io.BytesIO(bytes(plain)), into, "document", bytes(32))
    assert encrypted_size(plain) == len(into.getvalue())
