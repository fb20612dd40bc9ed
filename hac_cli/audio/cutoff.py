"""Whether a file was cut off, or holds more than is read, for the formats where libsndfile does not tell.

It reads a shortened AIFF, AU, W64, Ogg, SPHERE or VOC file, or a WAV file of any coding, as a complete one of less
length, and only the first of the streams that are chained in an Ogg file, and of joined FLAC, AU, CAF or WAV files.
"""

from __future__ import annotations

import functools
import math
import os
import re
from typing import IO

from hac_cli.audio.chunks import MAGICS, Behind, end_of_caf, end_of_data, is_much, what_follows

_HEAD_SIZE = 1024
_W64_MAGIC = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_FLAC_BEGINS, _FLAC_BEGINS_SIZE = re.compile(rb"fLaC[\0\x80]\0\0\x22"), 8
_PIECE_SIZE = 1 << 20
_OGG_PAGE = re.compile(rb"OggS\0(?P<flags>.)", re.DOTALL)
_OGG_BEGINNING = re.compile(rb"OggS\0[\x02\x06].{21}", re.DOTALL)
_OGG_BEGINS, _OGG_ENDS = 2, 4
_OGG_HEADER_SIZE = 27
_OGG_MAX_PAGE_SIZE = _OGG_HEADER_SIZE + 255 + 255 * 255


def is_cut_off(file: IO[bytes]) -> bool:
    """Whether the file lacks bytes that it announces. False where nothing can be said. Keeps the position."""
    size = os.fstat(file.fileno()).st_size
    head = read_at(file, 0, _HEAD_SIZE)
    if head[:4] == b"OggS":
        return _last_page_is_cut(_last_pages(file, size))
    return size < _announced_end(file, head)


def has_another_stream(file: IO[bytes]) -> bool:
    """Whether a stream begins in an Ogg file behind the pages of those at its start, as in recordings of web radio and
    in what ``cat`` joined. Keeps the position."""
    pages = _OGG_PAGE.finditer(read_at(file, 0, _OGG_MAX_PAGE_SIZE))
    goes_on = next((page.start() for page in pages if not page["flags"][0] & _OGG_BEGINS), None)
    return goes_on is not None and _count(file, _OGG_BEGINNING, _OGG_HEADER_SIZE, goes_on, most=1) == 1


def has_another_flac(file: IO[bytes]) -> bool:
    """Whether a second FLAC stream begins somewhere in a file, as ``cat`` joins them: its marker and the start of the
    block that always follows. The first may stand behind tags. Keeps the position."""
    return _count(file, _FLAC_BEGINS, _FLAC_BEGINS_SIZE, 0, most=2) == 2


def _count(file: IO[bytes], pattern: re.Pattern[bytes], size: int, position: int, most: int) -> int:
    """How often a pattern of ``size`` bytes stands in a file from ``position`` on, up to ``most``."""
    found = 0
    while found < most and len(piece := read_at(file, position, _PIECE_SIZE)) >= size:
        found += len(pattern.findall(piece))
        position += len(piece) - size + 1
    return min(found, most)


def what_is_behind(file: IO[bytes]) -> Behind:
    """What a file has behind the end of samples, or of all, that it announces. Keeps the position."""
    head = read_at(file, 0, _HEAD_SIZE)
    position = _announced_end(file, head)
    if not position:
        return Behind.CHUNKS

    def read(size: int) -> bytes:
        nonlocal position
        data = read_at(file, position, size)
        position += len(data)
        return data

    if head[:4] in MAGICS:
        return what_follows(read, position % 2)  # chunks begin at even bytes
    if read_at(file, position, 4) == head[:4]:
        return Behind.FILE
    return Behind.MORE if is_much(read) else Behind.CHUNKS


def read_at(file: IO[bytes], position: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``position``, past any buffer. The file's own position stays where it is."""
    descriptor = file.fileno()
    current = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        os.lseek(descriptor, position, os.SEEK_SET)
    except (OSError, OverflowError):  # a header may name a place that no file has
        return b""
    try:
        return os.read(descriptor, size)
    finally:
        os.lseek(descriptor, current, os.SEEK_SET)


def _announced_end(file: IO[bytes], head: bytes) -> int:
    """The byte at which a file should end, or in WAV its samples; 0 if it doesn't say."""
    read = functools.partial(read_at, file)
    if head[:4] == b"caff":
        return end_of_caf(read)
    if head[:4] == b"RIFX":
        return end_of_data(read, ">")
    return end_of_data(read, "<") if head[:4] in MAGICS else _announced_size(head)


def _announced_size(head: bytes) -> int:
    """The length in bytes that the first bytes of a file promise for the whole of it, 0 if they don't."""
    if head[:4] == b"FORM":
        return int.from_bytes(head[4:8], "big") + 8
    if head[:4] == b".snd":
        offset, data_size = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        return 0 if data_size == 0xFFFFFFFF else offset + data_size
    if head[:16] == _W64_MAGIC:
        return int.from_bytes(head[16:24], "little")
    if head[:19] == b"Creative Voice File":
        first_block = int.from_bytes(head[20:22], "little")
        return first_block + 4 + int.from_bytes(head[first_block + 1 : first_block + 4], "little")
    if head[:7] == b"NIST_1A":
        return _announced_sphere_size(head)
    return 0


def _announced_sphere_size(head: bytes) -> int:
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    fields = [re.search(rb"^%s -\w+ (\d+)" % name, head, re.MULTILINE) for name in names]
    header_size = head[8:16].strip()
    if not header_size.isdigit() or not all(fields):
        return 0
    return int(header_size) + math.prod(int(field[1]) for field in fields if field)


def _last_pages(file: IO[bytes], size: int) -> bytes:
    """As much as must hold the last Ogg page of a file of ``size`` bytes."""
    return read_at(file, max(0, size - _OGG_MAX_PAGE_SIZE), _OGG_MAX_PAGE_SIZE)


def _last_page_is_cut(tail: bytes) -> bool:
    """Whether the last Ogg page that begins in ``tail`` goes on after its end, or isn't its stream's last one."""
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) - start < _OGG_HEADER_SIZE or not tail[start + 5] & _OGG_ENDS:
        return True
    segments = tail[start + 26]
    table = tail[start + _OGG_HEADER_SIZE :][:segments]
    return len(tail) - start < _OGG_HEADER_SIZE + segments + sum(table)
