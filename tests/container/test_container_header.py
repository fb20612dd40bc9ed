"""The header: what it keeps, what it refuses, and in which words."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from container_files import make_file, make_header, make_tokens, with_crc
from hypothesis import given
from hypothesis import strategies as st

from hac_cli.container import LOWEST_VERSION, MODELS, VERSION, Header, Reader
from hac_cli.errors import CorruptError, UsageError

headers = st.builds(
    Header,
    sample_rate=st.integers(8000, 192000),
    channels=st.integers(1, 8),
    model_id=st.integers(0, 0xFFFF),
    weights_digest=st.binary(min_size=8, max_size=8),
    bits_per_token=st.integers(1, 24),
    tokens_per_frame=st.integers(1, 8),
    hop_length=st.integers(1, 0xFFFF),
    frames_per_block=st.integers(1, 341),
    pre_skip=st.integers(0, 0xFFFF),
    total_samples=st.none() | st.integers(0, 2**64 - 2),
    compatible_flags=st.integers(0, 255),
    version=st.integers(0x10, 0x1F),
)


@given(headers)
def test_every_header_comes_back(header):
    assert len(header.pack()) == 44
    assert Header.unpack(header.pack()) == header


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_rate": 7999},
        {"sample_rate": 192001},
        {"channels": 0},
        {"channels": 9},
        {"bits_per_token": 0},
        {"bits_per_token": 25},
        {"tokens_per_frame": 0},
        {"tokens_per_frame": 9},
        {"hop_length": 0},
        {"frames_per_block": 0},
        {"frames_per_block": 4097},
        {"frames_per_block": 4096, "channels": 8, "bits_per_token": 24},
        {"pre_skip": 65536},
        {"model_id": 65536},
        {"weights_digest": b"short"},
        {"payload_coding": 1},
        {"total_samples": -1},
        {"total_samples": 2**64 - 1},
        {"version": 0x20},
    ],
)
def test_values_outside_the_limits_are_refused(changes):
    with pytest.raises(UsageError):
        make_header(**changes)


def test_derived_values():
    header = make_header()
    assert header.version == LOWEST_VERSION == 0x10 <= VERSION
    assert header.model_name == "v2" == MODELS[1]
    assert replace(header, model_id=0).model_name is None
    assert header.frame_seconds == pytest.approx(1 / 75)
    assert [header.raw_size(frames) for frames in (0, 1, 4)] == [0, 3, 9]
    assert header.max_samples(3) == 4 * 320 * 16000 // 24000


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, b"RIFF", "not a .hac file"),
        (4, b"\x20", "format version 2 is not known: made by a newer HAC"),
        (4, b"\x00", "format version 0 is not known"),
        (5, b"\x2b", "header is damaged: its size is 43"),
        (7, b"\x80", "needs features 0x80: made by a newer HAC"),
        (8, bytes(4), "header is invalid: sample_rate must be 8000 to 192000, not 0"),
        (15, b"\x09", "payload coding 9 is not known: made by a newer HAC"),
    ],
)
def test_bad_headers_are_named(at, value, words):
    data = make_header().pack()
    with pytest.raises(CorruptError, match=words) as caught:
        Reader(io.BytesIO(with_crc(data[:at] + value + data[at + len(value) :])))
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("size", range(44))
def test_a_cut_header_is_refused(size):
    words = "it is empty" if size == 0 else "truncated: it ends inside its header"
    with pytest.raises(CorruptError, match=words):
        Reader(io.BytesIO(make_header().pack()[:size]))


def test_the_largest_header_is_read_and_its_crc_counts():
    header = make_header()
    data = make_file(header, make_tokens(header, 0))
    longer = with_crc(data[:5] + b"\xff" + data[6:40] + bytes(range(211)) + bytes(4))
    assert len(longer) == 255
    reader = Reader(io.BytesIO(longer))
    assert reader.header == header
    assert reader.bytes_read == 255
    with pytest.raises(CorruptError, match="checksum mismatch"):
        Reader(io.BytesIO(longer[:200] + b"?" + longer[201:]))
