"""The WAV header, read from a stream and written without seeking.

libsndfile can't write WAV to a pipe, and clamps the length of a truncated file without a word; hence our own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from hac_cli.audio.chunks import MAGIC_SIZE, MAGICS, MOST_BYTES, UNKNOWN_SIZE, is_placeholder
from hac_cli.audio.pcm import SampleFormat
from hac_cli.audio.tags import MAX_INFO_SIZE, parse_info
from hac_cli.errors import InputError

_TAG_PCM, _TAG_FLOAT, _TAG_EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_SUBFORMAT_SUFFIX = bytes.fromhex("000000001000800000aa00389b71")
_MAX_BYTES_BEFORE_FORMAT = 1 << 24
_DS64_SIZE = 28
_MAX_FORMAT_SIZE = 1 << 12
_PIECE_SIZE = 1 << 16
_WRAP = 1 << 32


class UnsupportedWavError(Exception):
    """WAV, but of a coding that is left to libsndfile. ``consumed``: all bytes that were read."""

    def __init__(self, consumed: bytes) -> None:
        super().__init__()
        self.consumed = consumed


@dataclass(frozen=True)
class WavHeader:
    """What stands before the samples. ``data_size`` is in bytes; None if the header does not know it."""

    sample_rate: int
    channels: int
    sample_format: SampleFormat
    data_size: int | None
    tags: dict[str, str] = field(default_factory=dict)


def is_wav(magic: bytes) -> bool:
    """Whether the first ``MAGIC_SIZE`` bytes of a file begin a WAV (or RF64) file."""
    return magic[:4] in MAGICS and magic[8:12] == b"WAVE"


def read_wav_header(read: Callable[[int], bytes]) -> WavHeader:
    """Reads up to the first sample. ``read(n)`` returns n bytes, fewer at the end of the input.

    Raises UnsupportedWavError for other codings than PCM and float, InputError if the header is cut short.
    """
    return _HeaderParser(read).parse()


def unwrapped(data_size: int, bytes_left: int) -> int:
    """The bytes of samples in a RIFF file, of 4 GiB or more perhaps: its writer's 32 bits begin at 0 again, and no
    other chunk has room for so much."""
    return data_size + max(0, bytes_left - data_size) // _WRAP * _WRAP


class _HeaderParser:
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._consumed = bytearray()
        self._position = 0
        self._format: tuple[int, int, SampleFormat] | None = None
        self._long_data_size: int | None = None
        self._tags: dict[str, str] = {}

    def parse(self) -> WavHeader:
        riff_size = struct.unpack("<4xI4x", self._take(MAGIC_SIZE))[0]
        while True:
            chunk_id, size = struct.unpack("<4sI", self._take(8))
            if chunk_id == b"data":
                return self._at_data(riff_size, size)
            padded = size + size % 2
            if chunk_id == b"fmt " and size <= _MAX_FORMAT_SIZE:
                self._format = self._parse_format(self._take(padded))
            elif chunk_id == b"ds64" and size >= _DS64_SIZE:
                self._long_data_size = struct.unpack("<8xQ12x", self._take(_DS64_SIZE))[0]
                self._skip(padded - _DS64_SIZE)
            elif chunk_id == b"LIST" and size <= MAX_INFO_SIZE:
                self._tags.update(parse_info(self._take(padded)))
            else:
                self._skip(padded)

    def _at_data(self, riff_size: int, size: int) -> WavHeader:
        if self._format is None:
            raise UnsupportedWavError(bytes(self._consumed))
        if size == UNKNOWN_SIZE and self._long_data_size:
            long_size = None if self._long_data_size >= MOST_BYTES else self._long_data_size
            return WavHeader(*self._format, long_size, self._tags)
        # A length of 0 is true if chunks follow, by the size of the whole; else the writer was never able to fill
        # it in, and samples may follow.
        nothing_follows = is_placeholder(riff_size) or riff_size + 8 <= self._position
        unknown = is_placeholder(size) or (size == 0 and nothing_follows)
        return WavHeader(*self._format, None if unknown else size, self._tags)

    def _parse_format(self, chunk: bytes) -> tuple[int, int, SampleFormat]:
        """Sample rate, channels and sample format of a ``fmt `` chunk."""
        if len(chunk) < 16:
            raise UnsupportedWavError(bytes(self._consumed))
        tag, channels, sample_rate, _, block_align, bits = struct.unpack_from("<HHIIHH", chunk)
        if tag == _TAG_EXTENSIBLE and chunk[26:40] == _SUBFORMAT_SUFFIX:
            tag = struct.unpack_from("<H", chunk, 24)[0]
        size = -(-bits // 8)  # 12, 18 or 20 bits are stored in the upper part of 16 or 24
        sizes = {_TAG_PCM: (1, 2, 3, 4), _TAG_FLOAT: (4, 8)}.get(tag, ())
        if not channels or size not in sizes or block_align != channels * size:
            raise UnsupportedWavError(bytes(self._consumed))
        kind = "f" if tag == _TAG_FLOAT else "u" if size == 1 else "s"
        return sample_rate, channels, SampleFormat(kind, size)

    def _take(self, size: int) -> bytes:
        data = self._read(size)
        self._position += len(data)
        if len(data) < size:
            raise InputError("is cut off within the WAV header, before any audio; copy or record it again")
        if self._format is None:  # from then on nothing will have to be read again by libsndfile
            self._consumed += data
        return data

    def _skip(self, size: int) -> None:
        if self._format is None and len(self._consumed) + size > _MAX_BYTES_BEFORE_FORMAT:
            raise InputError("has no usable WAV header; convert it first, for example with ffmpeg")
        while size:
            size -= len(self._take(min(size, _PIECE_SIZE)))


def wav_header(
    sample_format: SampleFormat,
    sample_rate: int,
    channels: int,
    samples: int | None,
    room_for_rf64: bool = False,
    info: bytes = b"",
) -> bytes:
    """The header of a WAV file, of a length that does not depend on ``samples`` (per channel, None: unknown).

    With ``room_for_rf64`` a file of 4 GiB or more becomes RF64; without, it gets the sizes of an unknown length,
    which readers take for "up to the end", as in a pipe. ``info``: a chunk of tags.
    """
    bytes_per_step = channels * sample_format.bytes_per_sample
    tag = _TAG_FLOAT if sample_format.is_float else _TAG_PCM
    bits = 8 * sample_format.bytes_per_sample
    rate = (sample_rate, sample_rate * bytes_per_step)
    chunks = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, *rate, bytes_per_step, bits)
    known_samples = UNKNOWN_SIZE if samples is None else samples
    if sample_format.is_float:
        chunks += struct.pack("<4sII", b"fact", 4, min(known_samples, UNKNOWN_SIZE))
    chunks += info
    room = 8 + _DS64_SIZE if room_for_rf64 else 0
    data_size = known_samples * bytes_per_step
    riff_size = 4 + room + len(chunks) + 8 + data_size + data_size % 2
    fits = samples is not None and riff_size < UNKNOWN_SIZE
    magic, extra = b"RIFF", b""
    if room_for_rf64 and samples is not None and not fits:
        magic, extra = b"RF64", struct.pack("<4sIQQQI", b"ds64", _DS64_SIZE, riff_size, data_size, samples, 0)
    elif room_for_rf64:
        extra = struct.pack(f"<4sI{_DS64_SIZE}x", b"JUNK", _DS64_SIZE)
    riff_field, data_field = (riff_size, data_size) if fits else (UNKNOWN_SIZE, UNKNOWN_SIZE)
    start = struct.pack("<4sI4s", magic, riff_field, b"WAVE")
    return start + extra + chunks + struct.pack("<4sI", b"data", data_field)
