"""Whether a file was cut off, for the formats where libsndfile does not tell.

It reads a shortened AIFF, AU, W64 or Ogg file as a complete one of less length.
"""

from __future__ import annotations

import os
from typing import IO

_HEAD_SIZE = 24
_W64_MAGIC = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_OGG_HEADER_SIZE = 27
_OGG_MAX_PAGE_SIZE = _OGG_HEADER_SIZE + 255 + 255 * 255


def is_cut_off(file: IO[bytes]) -> bool:
    """Whether the file lacks bytes that it announces. False where nothing can be said. Keeps the position."""
    size = os.fstat(file.fileno()).st_size
    head = read_at(file, 0, _HEAD_SIZE)
    if head[:4] == b"OggS":
        return _last_page_is_cut(read_at(file, max(0, size - _OGG_MAX_PAGE_SIZE), _OGG_MAX_PAGE_SIZE))
    return size < _announced_size(head)


def read_at(file: IO[bytes], position: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``position``, past any buffer. The file's own position stays where it is."""
    descriptor = file.fileno()
    current = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, size)
    finally:
        os.lseek(descriptor, current, os.SEEK_SET)


def _announced_size(head: bytes) -> int:
    """The length in bytes that the first bytes of a file promise for the whole of it, 0 if they don't."""
    if len(head) < _HEAD_SIZE:
        return 0
    if head[:4] == b"FORM":
        return int.from_bytes(head[4:8], "big") + 8
    if head[:4] == b".snd":
        offset, data_size = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        return 0 if data_size == 0xFFFFFFFF else offset + data_size
    if head[:16] == _W64_MAGIC:
        return int.from_bytes(head[16:24], "little")
    return 0


def _last_page_is_cut(tail: bytes) -> bool:
    """Whether the last Ogg page that begins in ``tail`` goes on after its end."""
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) - start < _OGG_HEADER_SIZE:
        return True
    segments = tail[start + 26]
    table = tail[start + _OGG_HEADER_SIZE :][:segments]
    return len(tail) - start < _OGG_HEADER_SIZE + segments + sum(table)
