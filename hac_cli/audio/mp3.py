"""MP3 files that do not tell their length.

libsndfile guesses it from the first frame and the size of the file, and stops there: at a variable bitrate most of
the audio can be lost. A larger file makes it guess more, and then it reads to the real end.
"""

from __future__ import annotations

import os
from typing import IO

from hac_cli.audio.cutoff import read_at

_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
_FIRST_FRAME_SIZE = 2048
_ID3_HEADER_SIZE = 10
_PADDING = 1 << 40


def tells_its_length(file: IO[bytes]) -> bool:
    """Whether the first frame of an MP3 file counts the frames. Keeps the position."""
    head = read_at(file, 0, _ID3_HEADER_SIZE)
    start = 0
    if head[:3] == b"ID3" and len(head) == _ID3_HEADER_SIZE:
        start = _ID3_HEADER_SIZE + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])  # seven bits a byte
    first_frame = read_at(file, start, _FIRST_FRAME_SIZE)
    return any(tag in first_frame for tag in _LENGTH_TAGS)


class PaddedFile:
    """A file that claims to be a tebibyte longer than it is. Reading on at its real end gives nothing."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._real_size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def read(self, size: int) -> bytes:
        position = self.tell()
        if position <= self._real_size:
            return self._file.read(size)
        return bytes(min(size, self._real_size + _PADDING - position))  # looked at in search of tags

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self._real_size + _PADDING + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
