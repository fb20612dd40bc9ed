"""Writing and reading back: any sizes of calls, pipes, sizes of files, wrong use."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from container_files import make_file, make_header, make_tokens, read_strict, split
from hypothesis import given
from hypothesis import strategies as st

from hac_cli.container import Header, Reader, Writer, verify
from hac_cli.errors import CorruptError, UsageError

USUAL = {"frames_per_block": 150}


class Trickle(io.RawIOBase):
    """A source that gives one byte a call, and cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        return self._data.read(1)


class Live(io.BytesIO):
    """A source on which a reader would wait for ever if it asked for more than has been written."""

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= len(self.getbuffer()) - self.tell()
        return super().read(size)


class FullDisk(io.BytesIO):
    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


@given(
    sizes=st.lists(st.integers(0, 11), max_size=12),
    frames_per_block=st.integers(1, 6),
    channels=st.integers(1, 3),
    per_frame=st.integers(1, 3),
    known=st.booleans(),
)
def test_any_sizes_of_calls_give_the_same_file(sizes, frames_per_block, channels, per_frame, known):
    header = make_header(
        frames_per_block=frames_per_block,
        channels=channels,
        tokens_per_frame=per_frame,
        total_samples=sum(sizes) if known else None,
    )
    tokens = make_tokens(header, sum(sizes))
    sink, start = io.BytesIO(), 0
    writer = Writer(sink, header)
    for size in sizes:
        writer.write(tokens[:, start : start + size])
        start += size
    summary = writer.finish(sum(sizes))
    assert sink.getvalue() == make_file(header, tokens, sum(sizes))
    reader, read, _ = read_strict(sink.getvalue())
    np.testing.assert_array_equal(read, tokens)
    assert read.dtype == np.int32
    assert reader.header == header
    assert reader.summary == summary
    assert summary.file_bytes == writer.bytes_written == len(sink.getvalue()) == reader.bytes_read
    assert (summary.samples, summary.frames) == (sum(sizes), sum(sizes))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_any_integer_type_may_be_written(dtype):
    header = make_header()
    tokens = np.arange(6, dtype=dtype).reshape(1, 6, 1)
    np.testing.assert_array_equal(read_strict(make_file(header, tokens))[1], tokens)


def test_a_trickling_source_reads_the_same():
    header = make_header()
    data = make_file(header, make_tokens(header, 11))
    tokens = np.concatenate([block.tokens for block in Reader(Trickle(data))], axis=1)
    np.testing.assert_array_equal(tokens, make_tokens(header, 11))
    assert verify(Trickle(data)).ok


@pytest.mark.parametrize("tolerant", [False, True])
def test_a_pipe_delivers_every_block_at_once(tolerant):
    """The reading end does not block, so a reader that asks for a byte too many fails here and does not hang."""
    header = make_header()
    tokens = make_tokens(header, 10)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    with os.fdopen(read_end, "rb", buffering=0) as source:
        with os.fdopen(write_end, "wb") as sink:
            writer = Writer(sink, header)
            reader = Reader(source, on_damage=pytest.fail if tolerant else None)
            blocks = iter(reader)
            for number in range(2):
                writer.write(tokens[:, 4 * number : 4 * number + 4])
                block = next(blocks)
                assert block.number == number
                np.testing.assert_array_equal(block.tokens, tokens[:, 4 * number : 4 * number + 4])
            writer.write(tokens[:, 8:])
            summary = writer.finish(2100)
            assert next(blocks).tokens.shape == (1, 2, 1)
        assert list(blocks) == []
    assert reader.summary == summary


@pytest.mark.parametrize("foreign", range(40))
def test_a_live_reader_never_asks_beyond_the_block(foreign):
    """Not even behind foreign bytes, which end here on the first half of a sync."""
    header = make_header()
    head, first, second, _ = split(make_file(header, make_tokens(header, 8)))
    noise = (b"noise" * 8 + b"\xf5")[-foreign:] if foreign else b""
    blocks = iter(Reader(Live(head + first + noise + second), on_damage=lambda damage: None))
    assert [next(blocks).number, next(blocks).number] == [0, 1]


def test_sizes():
    """What the format promises: 78 bytes a file, 12 a block, 1410 bit/s for a minute."""
    header = make_header(**USUAL)
    assert len(make_file(header, make_tokens(header, 0))) == 78
    minute = io.BytesIO()
    writer = Writer(minute, header)
    writer.write(make_tokens(header, 4500))
    summary = writer.finish(60 * 16000)
    assert summary.file_bytes == 78 + 30 * (12 + 338) == 10578
    assert summary.bitrate == pytest.approx(1410.4) and summary.bitrate <= 1420
    assert summary.payload_bitrate == pytest.approx(1352)
    assert summary.seconds == 60
    assert Writer(io.BytesIO(), header).finish(0).bitrate is None


def test_an_unbuffered_sink_may_take_less_than_offered():
    class Narrow(io.BytesIO):
        def write(self, data) -> int:
            return super().write(bytes(data[:7]))

    header, sink = make_header(), Narrow()
    writer = Writer(sink, header)
    writer.write(make_tokens(header, 9))
    writer.finish(0)
    assert sink.getvalue() == make_file(header, make_tokens(header, 9), 0)


@pytest.mark.parametrize(
    "tokens",
    [
        np.zeros((1, 3), int),
        np.zeros((2, 3, 1), int),
        np.zeros((1, 3, 2), int),
        np.zeros((1, 3, 1), np.float32),
        np.full((1, 1, 1), -1),
        np.full((1, 1, 1), 2**18),
    ],
)
def test_tokens_that_do_not_fit_are_refused_and_leave_no_trace(tokens):
    header, sink = make_header(), io.BytesIO()
    writer = Writer(sink, header)
    writer.write(make_tokens(header, 5))
    with pytest.raises(UsageError, match="tokens must"):
        writer.write(tokens)
    writer.finish(0)
    assert sink.getvalue() == make_file(header, make_tokens(header, 5), 0)


@pytest.mark.parametrize("samples", [-1, 3 * 320 * 16000 // 24000 + 1])
def test_samples_that_the_frames_cannot_hold_are_refused(samples):
    header = make_header()
    with pytest.raises(UsageError, match="2 frames cannot hold"):
        make_file(header, make_tokens(header, 2), samples)


def test_a_full_disk_leaves_a_file_that_readers_call_truncated():
    header, sink = make_header(), FullDisk(room=80)
    writer = Writer(sink, header)
    with pytest.raises(OSError, match="No space"):
        writer.write(make_tokens(header, 20))
    with pytest.raises(AssertionError):
        writer.finish(0)
    with pytest.raises(CorruptError, match="truncated"):
        read_strict(sink.getvalue())


def test_errors_of_the_source_pass_through():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() >= 44:
                raise OSError(5, "Input/output error")
            return super().read(size)

    header = make_header()
    reader = Reader(Broken(make_file(header, make_tokens(header, 3))), on_damage=pytest.fail)
    with pytest.raises(OSError, match="Input/output"):
        list(reader)


def test_header_defaults_are_those_of_the_models():
    header = Header(sample_rate=16000, channels=1, model_id=1, weights_digest=bytes(8))
    assert (header.hop_length, header.bits_per_token, header.tokens_per_frame) == (320, 18, 1)
