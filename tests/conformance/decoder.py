"""A token decoder for ``.hac`` files, written from ``format_spec.md`` alone; section numbers below are its own.

It shares nothing with the package, not even numpy, and holds the whole file in memory: what it says of a file is a
second opinion. ``decode`` is the strict decoder, ``recover`` the tolerant one.

    python tests/conformance/decoder.py FILE        the recording and its tokens, as JSON
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from pathlib import Path

MAGIC = bytes.fromhex("89484143")
SYNC = bytes.fromhex("f5b1")
DATA, END, SKIPPABLE = 1, 2, 0x80


class Invalid(Exception):
    """The file breaks a rule of the format."""


def need(rule: bool, otherwise: str) -> None:
    if not rule:
        raise Invalid(otherwise)


def number_at(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")


def crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        for bit in range(7, -1, -1):
            carry = (crc >> 7) ^ (byte >> bit & 1)
            crc = (crc << 1 & 0xFF) ^ (0x07 if carry else 0)
    return crc


HEADER_FIELDS = {  # section 3: offset, size, least, most
    "sample_rate": (8, 4, 8000, 192000),
    "channels": (12, 1, 1, 8),
    "bits_per_token": (13, 1, 1, 24),
    "tokens_per_frame": (14, 1, 1, 8),
    "payload_coding": (15, 1, 0, 0),
    "hop_length": (16, 2, 1, 65535),
    "frames_per_block": (18, 2, 1, 4096),
    "pre_skip": (20, 2, 0, 65535),
    "model_id": (22, 2, 0, 65535),
}


class Header:
    """Section 3."""

    def __init__(self, data: bytes) -> None:
        need(data[:4] == MAGIC, "no magic")
        need(len(data) >= 6, "cut in the header")
        need(data[4] >> 4 == 1, "unknown major version")
        self.size = data[5]
        need(44 <= self.size <= len(data), "header size")
        self.crc = number_at(data, self.size - 4, 4)
        need(zlib.crc32(data[: self.size - 4]) == self.crc, "header CRC")
        need(data[7] == 0, "unknown incompatible flags")
        self.fields: dict[str, int | str | None] = {"version": data[4], "compatible_flags": data[6]}
        for name, (offset, size, least, most) in HEADER_FIELDS.items():
            value = number_at(data, offset, size)
            need(least <= value <= most, name)
            self.fields[name] = value
        self.fields["weights_digest"] = data[24:32].hex()
        total = number_at(data, 32, 8)
        self.fields["total_samples"] = None if total == 2**64 - 1 else total
        self.sample_rate = number_at(data, 8, 4)
        self.channels = data[12]
        self.bits = data[13]
        self.per_frame = data[14]
        self.hop_length = number_at(data, 16, 2)
        self.frames_per_block = number_at(data, 18, 2)
        need(self.raw_size(self.frames_per_block) <= 65533, "a block's size")

    def raw_size(self, frames: int) -> int:
        return -(-frames * self.channels * self.per_frame * self.bits // 8)


class Block:
    """Section 4: a block whose checksum is right, and its full number."""

    def __init__(self, header: Header, data: bytes, offset: int, numbers: range) -> None:
        start = data[offset : offset + 8]
        need(len(start) == 8, "truncated")
        need(start[:2] == SYNC, "no sync")
        need(crc8(start[:7]) == start[7], "check byte")
        self.type = start[2]
        self.length = number_at(start, 5, 2)
        least, most = self.possible_length(header)
        need(least <= self.length <= most, "impossible length")
        self.end = offset + 8 + self.length + 4
        need(self.end <= len(data), "truncated")
        self.payload = data[offset + 8 : self.end - 4]
        if self.type == END:
            number = number_at(self.payload, 8, 4)
            numbers = range(number, number + 1) if number >= numbers.start else range(0)
        covered = header.crc.to_bytes(4, "little") + data[offset : self.end - 4]
        crc = number_at(data, self.end - 4, 4)
        for number in numbers:
            same_low_bits = number % 65536 == number_at(start, 3, 2)
            if same_low_bits and zlib.crc32(covered + number.to_bytes(4, "little")) == crc:
                self.number = number
                return
        raise Invalid("block CRC")

    def possible_length(self, header: Header) -> tuple[int, int]:
        if self.type & 0x8F == DATA and self.type & 0x10:
            return 3, 2 + header.raw_size(header.frames_per_block - 1)
        if self.type & 0x8F == DATA:
            return header.raw_size(header.frames_per_block), header.raw_size(header.frames_per_block)
        return (22, 22) if self.type & 0x8F == END else (0, 65535)


def tokens_of(header: Header, block: Block) -> list[int]:
    """Section 5: the tokens of a data block in payload order."""
    payload, frames = block.payload, header.frames_per_block
    if block.type & 0x10:
        frames, payload = number_at(payload, 0, 2), payload[2:]
        need(1 <= frames < header.frames_per_block, "frames of a short block")
    need(len(payload) == header.raw_size(frames), "a raw payload's size")
    bits = int.from_bytes(payload, "little")
    count = frames * header.channels * header.per_frame
    need(bits >> (count * header.bits) == 0, "padding")
    return [bits >> (t * header.bits) & ((1 << header.bits) - 1) for t in range(count)]


class File:
    """What has been decoded: the tokens of each data block, by its number, and the end block's values."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = Header(data)
        self.blocks: dict[int, list[int]] = {}
        self.next = 0  # e in section 10
        self.frames = 0
        self.samples: int | None = None
        self.count = 0  # data blocks that the end block counts
        self.digest = b""

    def take(self, offset: int, numbers: range) -> int:
        """Decode the block at ``offset``; where the next one begins."""
        block = Block(self.header, self.data, offset, numbers)
        if block.type & SKIPPABLE:
            return block.end
        if block.type == END:
            self.finish(block)
            return block.end
        need(block.type in (DATA, DATA | 0x10), "unknown type or flags")
        need(self.frames == self.next * self.header.frames_per_block, "a short block is not the last")
        tokens = tokens_of(self.header, block)
        self.blocks[block.number] = tokens
        self.next = block.number + 1
        frame_tokens = self.header.channels * self.header.per_frame
        self.frames = block.number * self.header.frames_per_block + len(tokens) // frame_tokens
        return block.end

    def finish(self, block: Block) -> None:
        """Section 6."""
        header, count = self.header, block.number
        samples, last_frames = number_at(block.payload, 0, 8), number_at(block.payload, 12, 2)
        need(bool(count) <= last_frames <= (header.frames_per_block if count else 0), "last_frames")
        frames = (count - 1) * header.frames_per_block + last_frames if count else 0
        need(count > self.next or frames == self.frames, "frames")
        need(samples <= (frames + 1) * header.hop_length * header.sample_rate // 24000, "samples")
        self.samples, self.count, self.frames, self.digest = samples, count, frames, block.payload[14:22]

    def token_bytes(self) -> bytes:
        return b"".join(token.to_bytes(4, "little") for tokens in self.blocks.values() for token in tokens)


def decode(data: bytes) -> File:
    """The strict decoder: raises Invalid at anything that is wrong."""
    file = File(data)
    offset = file.header.size
    while file.samples is None:
        offset = file.take(offset, range(file.next, file.next + 1))
    need(file.count == len(file.blocks), "lost blocks")
    need(hashlib.blake2b(file.token_bytes(), digest_size=8).digest() == file.digest, "digest")
    need(offset == len(data), "bytes after the end block")
    return file


def recover(data: bytes) -> File:
    """The tolerant decoder of section 10: raises Invalid only for the header; samples stay None without an end."""
    file = File(data)
    offset = file.header.size
    while file.samples is None and offset >= 0:
        try:
            low = number_at(data, offset + 3, 2)
            first = file.next + (low - file.next) % 65536
            offset = file.take(offset, range(first, file.next + 2**20, 65536))
        except Invalid:
            offset = data.find(SYNC, offset + 1)
    return file


def main() -> int:
    data = Path(sys.argv[1]).read_bytes()
    try:
        file = decode(data)
    except Invalid as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 5
    tokens = list(file.blocks.values())
    print(json.dumps({"header": file.header.fields, "samples": file.samples, "blocks": tokens}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
