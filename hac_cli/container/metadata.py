"""What a recording says of itself: the payload of a metadata block. See ``format_spec.md``, "Metadata"."""

from __future__ import annotations

import re
from collections.abc import Mapping

METADATA = 0x81
MAX_SIZE = 0xFFFF
_KEY = re.compile(r"[ -<>-}]+")  # printable ASCII but = and ~, as in Vorbis comments


def pack_metadata(tags: Mapping[str, str]) -> bytes:
    """The payload for these tags; those that no longer fit, have no value or an impossible key are left out."""
    payload = b""
    for key, value in tags.items():
        value = value.replace("\0", " ").strip()
        entry = f"{key.lower()}={value}\0".encode("utf-8", "replace")
        if value and _KEY.fullmatch(key) and len(payload) + len(entry) <= MAX_SIZE:
            payload += entry
    return payload


def unpack_metadata(payload: bytes) -> dict[str, str]:
    """Tags by key in lower case; what is not in order is left out, and of several values of a key the first is kept."""
    tags: dict[str, str] = {}
    for entry in payload.split(b"\0"):
        key, equals, value = entry.decode("utf-8", "replace").partition("=")
        if equals and _KEY.fullmatch(key):
            tags.setdefault(key.lower(), value)
    return tags
