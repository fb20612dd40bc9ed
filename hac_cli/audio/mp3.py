"""MP3 files that do not tell their length, or go on behind it.

libsndfile guesses it from the first frame and the size of the file, and stops there: at a variable bitrate most of
the audio can be lost. A larger file makes it guess more, and then it reads to the real end.
"""

from __future__ import annotations

import os
import re
from typing import IO

from hac_cli.audio.cutoff import read_at

_LENGTH_TAG = re.compile(rb"(Xing|Info)(?P<flags>.{4})|VBRI", re.DOTALL)
_COUNTS_FRAMES, _COUNTS_BYTES = 1, 2
_FIRST_FRAME_SIZE = 2048
_ID3_HEADER_SIZE, _ID3V1_SIZE, _APE_HEADER_SIZE = 10, 128, 32
_PADDING = 1 << 40


def tells_its_length(file: IO[bytes]) -> bool:
    """Whether the first frame of an MP3 file counts the frames. Keeps the position."""
    return _LENGTH_TAG.search(_first_frame(file)[1]) is not None


def goes_on(file: IO[bytes]) -> bool:
    """Whether frames or tags of another MP3 file follow those that the first frame counts: libsndfile doesn't read
    them. Keeps the position."""
    start, frame = _first_frame(file)
    tag = _LENGTH_TAG.search(frame)
    flags = int.from_bytes(tag["flags"], "big") if tag and tag["flags"] else 0
    if tag is None or not flags & _COUNTS_BYTES:
        return False
    counts = tag.end() + (4 if flags & _COUNTS_FRAMES else 0)
    end = start + int.from_bytes(frame[counts : counts + 4], "big")
    next_bytes = read_at(file, _behind_tags(file, end), 3)
    is_frame = len(next_bytes) == 3 and next_bytes[0] == 0xFF and next_bytes[1] >= 0xE0
    return is_frame or next_bytes == b"ID3"


def _behind_tags(file: IO[bytes], position: int) -> int:
    """Behind the tags that may end an MP3 file: APEv2 with its header, and ID3v1."""
    head = read_at(file, position, _APE_HEADER_SIZE)
    if head[:8] == b"APETAGEX" and len(head) == _APE_HEADER_SIZE:
        position += _APE_HEADER_SIZE + int.from_bytes(head[12:16], "little")
    return position + _ID3V1_SIZE * (read_at(file, position, 3) == b"TAG")


def _first_frame(file: IO[bytes]) -> tuple[int, bytes]:
    """Where it starts, behind a tag if there is one, and what it begins with."""
    head = read_at(file, 0, _ID3_HEADER_SIZE)
    start = 0
    if head[:3] == b"ID3" and len(head) == _ID3_HEADER_SIZE:
        start = _ID3_HEADER_SIZE + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])  # seven bits a byte
    return start, read_at(file, start, _FIRST_FRAME_SIZE)


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
