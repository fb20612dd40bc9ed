"""The chunks that WAV and CAF files are made of: where they should end, and what stands behind the samples."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from enum import Enum, auto

from hac_cli.audio.tags import MAX_INFO_SIZE, parse_info

MAGIC_SIZE = 12
MAGICS = (b"RIFF", b"RF64", b"BW64")
UNKNOWN_SIZE = 0xFFFFFFFF
MOST_BYTES = 1 << 62
"""More stands for "not known", too: no file is as large."""
_CAF_HEADER_SIZE = 8
_PIECE_SIZE = 1 << 16
_MAX_CHUNKS = 64
"""There may be anything."""
_NO_TAIL = 4096
"""Bytes; less behind a file may be anything."""


def read_tags_behind(read_at: Callable[[int, int], bytes], position: int) -> dict[str, str]:
    """Tags in chunks behind the samples, from byte ``position`` on. ``read_at(position, n)`` returns n bytes, fewer at
    the end of the file."""
    tags: dict[str, str] = {}
    for chunk_id, start, size in _chunks(read_at, position):
        if chunk_id in MAGICS:  # another file, as ``cat`` joins them
            break
        if chunk_id == b"LIST" and size <= MAX_INFO_SIZE:
            tags.update(parse_info(read_at(start, size)))
    return tags


class Behind(Enum):
    """What stands behind the chunk of samples: chunks of a kind that is left alone or nothing, another file, as ``cat``
    joins them, another chunk of samples, or what can be no chunk, such as samples that the header knows nothing of."""

    CHUNKS = auto()
    FILE = auto()
    ANOTHER = auto()
    MORE = auto()


def what_follows(read: Callable[[int], bytes], position: int) -> Behind:
    """What comes ``position`` bytes further on, where the chunk of samples ends. Reads on to the end of a pipe, but
    where that is no chunk."""
    _skipped(read, position)
    for number in range(_MAX_CHUNKS):
        head = read(8)
        if len(head) < 8 or head[:4] in MAGICS:
            return Behind.FILE if head[:4] in MAGICS else Behind.CHUNKS
        chunk_id, size = struct.unpack("<4sI", head)
        if chunk_id == b"data" and size:
            return Behind.ANOTHER
        if number == 0 and not (chunk_id.isascii() and chunk_id.decode("ascii").isprintable()):
            return Behind.MORE if is_much(read) else Behind.CHUNKS
        there = _skipped(read, size + size % 2)
        if number == 0 and _NO_TAIL <= there < size:  # letters by chance
            return Behind.MORE
    return Behind.CHUNKS


def _skipped(read: Callable[[int], bytes], size: int) -> int:
    """Passes over ``size`` bytes, and says how many there were."""
    left = size
    while left and (data := read(min(left, _PIECE_SIZE))):
        left -= len(data)
    return size - left


def is_much(read: Callable[[int], bytes]) -> bool:
    """Whether more follows than what may stand behind any file, and not only the zeros that some fill a sector with."""
    size, zeros = 0, 0
    while (size < _NO_TAIL or size == zeros) and (data := read(_PIECE_SIZE)):
        size, zeros = size + len(data), zeros + data.count(0)
    return size >= _NO_TAIL and size > zeros


def end_of_data(read_at: Callable[[int, int], bytes], order: str) -> int:
    """The byte at which the samples of a WAV file should end, of whatever coding and byte ``order`` (``<`` or ``>``);
    0 if it doesn't say."""
    long_size = 0
    for chunk_id, start, size in _chunks(read_at, MAGIC_SIZE, f"{order}4sI"):
        if chunk_id == b"ds64":
            long_size = int.from_bytes(read_at(start + 8, 8), "little")
        elif chunk_id == b"data" and size == UNKNOWN_SIZE and 0 < long_size < MOST_BYTES:
            return start + long_size
        elif chunk_id == b"data":
            return 0 if is_placeholder(size) else start + size
    return 0


def end_of_caf(read_at: Callable[[int, int], bytes]) -> int:
    """The byte at which the chunks of a CAF file should end (Apple Core Audio Format 1.0); 0 if it doesn't say."""
    end = 0
    for chunk_id, start, size in _chunks(read_at, _CAF_HEADER_SIZE, ">4sq", 1):
        if size < 0:  # up to the end
            return 0
        if chunk_id == b"caff":  # another file, as ``cat`` joins them
            break
        end = start + size
    return end


def _chunks(
    read_at: Callable[[int, int], bytes], position: int, layout: str = "<4sI", even: int = 2
) -> Iterator[tuple[bytes, int, int]]:
    """The chunks from byte ``position`` on, each of which begins at a multiple of ``even``: name, where the content
    starts, and its size. ``layout``: of name and size."""
    header = struct.Struct(layout)
    for _ in range(_MAX_CHUNKS):
        head = read_at(position, header.size)
        if len(head) < header.size:
            break
        chunk_id, size = header.unpack(head)
        yield chunk_id, position + header.size, size
        position += header.size + size + size % even


def is_placeholder(size: int) -> bool:
    """Whether a program that could not seek back has written ``size`` for want of a true one.

    ffmpeg writes 0xFFFFFFFF; sox and espeak 0x7FFFF000 and arecord 0x80000000, rounded down to whole samples.
    """
    return size >= 0xFFFFFF00 or 0x7FFFEF00 <= size <= 0x80000000
