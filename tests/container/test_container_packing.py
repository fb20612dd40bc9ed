"""Raw payloads: bit order, padding, sizes."""

from __future__ import annotations

import numpy as np
import pytest
from container_files import make_header
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hac_cli.container.packing import TokenDigest, pack_raw, payload_order, unpack_raw
from hac_cli.errors import CorruptError


@st.composite
def headers_and_tokens(draw):
    header = make_header(
        channels=draw(st.integers(1, 8)),
        tokens_per_frame=draw(st.integers(1, 8)),
        bits_per_token=draw(st.integers(1, 24)),
    )
    shape = (header.channels, draw(st.integers(0, 5)), header.tokens_per_frame)
    return header, draw(npst.arrays(np.int32, shape, elements=st.integers(0, 2**header.bits_per_token - 1)))


@given(headers_and_tokens())
def test_packing_is_one_long_integer(case):
    header, tokens = case
    payload = pack_raw(tokens, header)
    value = sum(int(token) << i * header.bits_per_token for i, token in enumerate(payload_order(tokens)))
    assert payload == value.to_bytes(header.raw_size(tokens.shape[1]), "little")


@given(headers_and_tokens())
def test_unpacking_undoes_packing(case):
    header, tokens = case
    unpacked = unpack_raw(pack_raw(tokens, header), tokens.shape[1], header)
    assert unpacked.dtype == np.int32
    np.testing.assert_array_equal(unpacked, tokens)


def test_payload_order_is_frame_channel_token():
    tokens = np.arange(2 * 3 * 2).reshape(2, 3, 2)  # channel 0: 0..5, channel 1: 6..11
    assert payload_order(tokens).tolist() == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]


@pytest.mark.parametrize("bit", range(54, 56))
def test_padding_must_be_zero(bit):
    header = make_header()
    payload = bytearray(pack_raw(np.zeros((1, 3, 1), np.int32), header))
    payload[bit // 8] |= 1 << bit % 8
    with pytest.raises(CorruptError, match="padding"):
        unpack_raw(bytes(payload), 3, header)


@pytest.mark.parametrize("change", [-1, 1])
def test_size_must_fit(change):
    header = make_header()
    with pytest.raises(CorruptError, match="size"):
        unpack_raw(bytes(header.raw_size(3) + change), 3, header)


def test_the_digest_is_over_the_payload_order_however_it_is_cut():
    tokens = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    whole, pieces = TokenDigest(), TokenDigest()
    whole.update(tokens)
    for frame in range(5):
        pieces.update(tokens[:, frame : frame + 1])
    assert whole.digest() == pieces.digest()
    assert TokenDigest().digest().hex() == "e4a6a0577479b2b4"
