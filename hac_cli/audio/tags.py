"""Tags of audio files: title, date and so on, by the names that libsndfile has for them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

SNDFILE_TAGS = ("title", "artist", "album", "date", "genre", "tracknumber", "comment", "copyright", "license")
MAX_INFO_SIZE = 1 << 16
_INFO = {
    b"INAM": "title", b"IART": "artist", b"IPRD": "album", b"ICRD": "date", b"IGNR": "genre", b"ITRK": "tracknumber",
    b"ICMT": "comment", b"ICOP": "copyright",
}  # fmt: skip


def parse_info(chunk: bytes) -> dict[str, str]:
    """The tags in the content of a WAV file's ``LIST`` chunk; none if it is a list of something else."""
    tags = {}
    position = 4
    while chunk[:4] == b"INFO" and position + 8 <= len(chunk):
        name, size = struct.unpack_from("<4sI", chunk, position)
        value = chunk[position + 8 : position + 8 + size].split(b"\0")[0]
        if name in _INFO and value:
            tags[_INFO[name]] = _decode(value)
        position += 8 + size + size % 2
    return tags


def _decode(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def info_chunk(tags: Mapping[str, str]) -> bytes:
    """A whole ``LIST`` chunk with the tags that WAV has a name for; no bytes if there are none."""
    content = b"INFO"
    for name, key in _INFO.items():
        if key in tags:
            value = tags[key].encode("utf-8", "replace") + b"\0"
            content += struct.pack("<4sI", name, len(value)) + value + bytes(len(value) % 2)
    return struct.pack("<4sI", b"LIST", len(content)) + content if len(content) > 4 else b""
