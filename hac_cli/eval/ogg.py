"""How much of an Ogg file (RFC 3533) is audio: what the container costs a codec."""

from __future__ import annotations

_HEADER_SIZE = 27


def payload_bytes(data: bytes, header_packets: int = 2) -> int:
    """Bytes of all packets but the first ones, which describe the stream. Raises ValueError if it is not Ogg."""
    packets = _packet_sizes(data)
    return sum(packets[header_packets:])


def _packet_sizes(data: bytes) -> list[int]:
    sizes, size, position = [], 0, 0
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            raise ValueError("not an Ogg file")
        segments = data[position + 26]
        table = data[position + _HEADER_SIZE : position + _HEADER_SIZE + segments]
        for lacing in table:  # a packet ends with the first segment that is shorter than 255 bytes
            size += lacing
            if lacing < 255:
                sizes.append(size)
                size = 0
        position += _HEADER_SIZE + segments + sum(table)
    return sizes
