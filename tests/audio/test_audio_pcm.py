"""How samples are stored, and the description of headerless PCM."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hac_cli.audio import RawFormat
from hac_cli.audio.pcm import SampleFormat
from hac_cli.errors import UsageError

INTEGER_FORMATS = [
    SampleFormat("u", 1),
    *(SampleFormat("s", size, big) for size in (2, 3) for big in (False, True)),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24000:1:s16", RawFormat(24000, 1, SampleFormat("s", 2))),
        ("48000:2:s24be", RawFormat(48000, 2, SampleFormat("s", 3, big_endian=True))),
        ("8000:8:u8", RawFormat(8000, 8, SampleFormat("u", 1))),
        ("192000:6:F32LE", RawFormat(192000, 6, SampleFormat("f", 4))),
        (" 16000:1:s32be ", RawFormat(16000, 1, SampleFormat("s", 4, big_endian=True))),
    ],
)
def test_raw_format_is_parsed(text: str, expected: RawFormat) -> None:
    assert RawFormat.parse(text) == expected


@pytest.mark.parametrize("text", ["", "24000", "24000:1", "24000:1:s17", "24000:1:s16:x", "-8000:1:s16", "24k:1:s16"])
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(UsageError, match=r"RATE:CHANNELS:FORMAT.*u8, s16, s24, s32, f32"):
        RawFormat.parse(text)


@pytest.mark.parametrize(
    ("text", "reason"), [("7999:1:s16", "7999 Hz"), ("24000:0:s16", "0 channels"), ("24000:9:s16", "9")]
)
def test_raw_format_outside_the_limits_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        RawFormat.parse(text)


@pytest.mark.parametrize("sample_format", INTEGER_FORMATS)
@settings(max_examples=30)
@given(data=st.data())
def test_integers_survive_the_way_to_float_and_back(sample_format: SampleFormat, data: st.DataObject) -> None:
    channels = data.draw(st.integers(1, 8))
    step = channels * sample_format.bytes_per_sample
    stored = data.draw(st.binary(min_size=step, max_size=20 * step).map(lambda raw: raw[: len(raw) // step * step]))
    block = sample_format.decode(stored, channels)
    assert block.shape == (channels, len(stored) // step) and block.dtype == np.float32
    assert sample_format.encode(block) == stored


def test_byte_order_and_channel_order() -> None:
    stored = bytes([0x40, 0x00, 0xC0, 0x00, 0x20, 0x00, 0x00, 0x00])
    block = SampleFormat("s", 2, big_endian=True).decode(stored, 2)
    assert block.tolist() == [[0.5, 0.25], [-0.5, 0.0]]
    assert SampleFormat("s", 3).decode(b"\x00\x00\x40", 1).tolist() == [[0.5]]
    assert SampleFormat("s", 3, big_endian=True).decode(b"\x40\x00\x00", 1).tolist() == [[0.5]]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_integers_are_clipped_and_rounded_never_wrapped(size: int) -> None:
    sample_format = SampleFormat("s", size)
    limit = 2 ** (8 * size - 1)
    values = np.array([[1.0, 1.5, 1e9, -1.0, -1.5, -1e9, 0.0, 0.6 / limit, -0.6 / limit, 0.4 / limit]], np.float32)
    expected = [limit - 1] * 3 + [-limit] * 3 + [0, 1, -1, 0]
    assert sample_format.quantize(values)[:, 0].tolist() == expected
    encoded = sample_format.encode(values)
    assert [
        int.from_bytes(encoded[i : i + size], "little", signed=True) for i in range(0, len(encoded), size)
    ] == expected


def test_float_keeps_what_is_beyond_full_scale() -> None:
    values = np.array([[3.5, -2.0]], np.float32)
    assert SampleFormat("f", 4).decode(SampleFormat("f", 4).encode(values), 1).tolist() == values.tolist()
