"""A token decoder for ``.hac`` files, written from ``format_spec.md`` alone; section numbers below are its own.

It shares nothing with the package, not even numpy, and holds the whole file in memory: what it says of a file is a
second opinion. ``decode`` is the strict decoder, ``recover`` the tolerant one.

    python tests/conformance/decoder.py FILE [PREDICTOR]        the recording and its tokens, as JSON
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import zlib
from pathlib import Path

MAGIC = bytes.fromhex("89484143")
SYNC = bytes.fromhex("f5b1")
DATA, END, SKIPPABLE, METADATA, HEADER_COPY = 1, 2, 0x80, 0x81, 0x83


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
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc


HEADER_FIELDS = {  # section 3: offset, size, least, most
    "sample_rate": (8, 4, 8000, 192000),
    "channels": (12, 1, 1, 8),
    "bits_per_token": (13, 1, 1, 24),
    "tokens_per_frame": (14, 1, 1, 8),
    "payload_coding": (15, 1, 0, 1),
    "hop_length": (16, 2, 1, 65535),
    "frames_per_block": (18, 2, 1, 4096),
    "pre_skip": (20, 2, 0, 65535),
    "model_id": (22, 2, 0, 65535),
}


def is_intact(header: bytes) -> bool:
    """Section 3, as far as it is the same in every version."""
    size = header[5] if header[:4] == MAGIC and len(header) > 5 else 0
    return 44 <= size <= len(header) and zlib.crc32(header[: size - 4]) == number_at(header, size - 4, 4)


class Header:
    """Section 3."""

    def __init__(self, data: bytes) -> None:
        need(is_intact(data), "no intact header")
        self.size, self.crc = data[5], number_at(data, data[5] - 4, 4)
        need(data[4] >> 4 == 1, "unknown major version")
        need(data[7] < 8 and data[7] & 6 != 4, "incompatible flags")
        self.compact, tinted, band_limited = (bool(data[7] & bit) for bit in (1, 2, 4))
        flags = dict(compatible_flags=data[6], compact=self.compact, tinted=tinted, band_limited=band_limited)
        self.fields: dict[str, int | str | None] = dict(version=data[4]) | flags
        for name, (offset, size, least, most) in HEADER_FIELDS.items():
            value = number_at(data, offset, size)
            need(least <= value <= most, name)
            self.fields[name] = value
        self.coded = data[15] == 1
        need(not self.coded or self.size >= 48, "no predictor digest")
        self.fields |= dict(weights_digest=data[24:32].hex(), predictor_digest=data[40:44].hex() * self.coded or None)
        total = number_at(data, 32, 8)
        self.fields["total_samples"] = None if total == 2**64 - 1 else total
        self.sample_rate, (self.channels, self.bits, self.per_frame) = number_at(data, 8, 4), data[12:15]
        self.limits = [(-128, 127), *[(-24, 24)] * 4 * tinted, *[(0, 31)] * band_limited] * self.channels
        self.gain_size, self.hop_length = len(self.limits), number_at(data, 16, 2)
        self.frames_per_block = number_at(data, 18, 2)
        need(self.raw_size(self.frames_per_block) <= 65533, "a block's size")

    def raw_size(self, frames: int) -> int:
        return -(-frames * self.channels * self.per_frame * self.bits // 8)


class Block:
    """Section 4: a block whose checksum is right, and its full number: the one that is due, or if ``tolerant`` one
    behind it."""

    def __init__(self, header: Header, data: bytes, offset: int, due: int, tolerant: bool) -> None:
        start = data[offset : offset + 8]
        if header.compact and len(start) >= 3 and start[0] == SYNC[0] and start[1] < SYNC[1]:
            front, back, self.length, self.compact = 3, 3, start[1], True
            self.type = DATA if self.length == header.raw_size(header.frames_per_block) else DATA | 0x20
            low, step, reach = start[2], 2**8, 2**12
        else:
            need(len(start) == 8 and start[:2] == SYNC and crc8(start[:7]) == start[7], "no block begins here")
            front, back, self.type, self.length, self.compact = 8, 4, start[2], number_at(start, 5, 2), False
            low, step, reach = number_at(start, 3, 2), 2**16, 2**20
        numbers = range(due + (low - due) % step, due + (reach if tolerant else 1), step)
        least, most = self.possible_length(header)
        need(least <= self.length <= most, "impossible length")
        self.end = offset + front + self.length + back
        need(self.end <= len(data), "truncated")
        self.payload = data[offset + front : self.end - back]
        if self.type in (END, HEADER_COPY):
            number = number_at(self.payload, 8 if self.type == END else 0, 4)
            possible = number == due or (tolerant and number > due)
            numbers = range(number, number + (possible and number % step == low))
        covered = header.crc.to_bytes(4, "little") + data[offset : self.end - back]
        for number in numbers:
            crc = zlib.crc32(covered + number.to_bytes(4, "little")).to_bytes(4, "little")
            if crc[:back] == data[self.end - back : self.end]:
                self.number = number
                return
        raise Invalid("block CRC")

    def possible_length(self, header: Header) -> tuple[int, int]:
        if self.type & 0x8F == DATA:
            short, coded, gains = (self.type >> bit & 1 for bit in (4, 5, 6))
            most, size = header.raw_size(header.frames_per_block - short), header.gain_size
            least = (0 if coded else 1 if short else most) + 2 * short
            return least + gains * (1 + size), most - coded + 2 * short + gains * (1 + size + 255 * (2 + size))
        if self.type == HEADER_COPY:
            return 48, 259
        return (22, 22) if self.type & 0x8F == END else (0, 65535)


POINTS = [min(max(round(65536 / (1 + math.exp(8 - i / 2))), 22), 65514) for i in range(33)]


class Predictor:
    """Section 6: coded tokens."""

    def __init__(self, data: bytes) -> None:
        need(data[:4] == b"HACP" and len(data) >= 8 and data[7] == 0, "no predictor")
        self.digest = hashlib.sha256(data).hexdigest()[:8]
        self.bits, self.back, self.hidden = bits, back, hidden = data[4:7]
        need(1 <= bits <= 192 and 1 <= back <= 8 and hidden >= 1, "limits of the predictor")
        small = [byte - 256 if byte > 127 else byte for byte in data[8 : 8 + hidden * (back + 2) * bits]]
        large = data[8 + len(small) :]
        need(len(large) == 2 * (hidden + bits), "size of the predictor")
        biases = [int.from_bytes(large[at : at + 2], "little", signed=True) for at in range(0, len(large), 2)]

        def matrix(offset: int, rows: int, columns: int) -> list[list[int]]:
            return [small[offset + row * columns : offset + (row + 1) * columns] for row in range(rows)]

        self.past = matrix(0, hidden, back * bits)
        self.present = matrix(hidden * back * bits, bits, hidden)
        self.out = matrix(hidden * (back + 1) * bits, bits, hidden)
        self.hidden_bias, self.out_bias = biases[:hidden], biases[hidden:]

    def probability(self, bit: int, sums: list[int]) -> int:
        logit = self.out_bias[bit] + sum(max(s, 0) * w for s, w in zip(sums, self.out[bit], strict=True))
        index, part = divmod(min(max(logit, -8192), 8191) + 8192, 512)
        return (POINTS[index] * (512 - part) + POINTS[index + 1] * part) // 512

    def decode(self, header: Header, payload: bytes, frames: int) -> list[int]:
        low, high, number, position = 0, 2**32 - 1, int.from_bytes((payload + bytes(4))[:4], "big"), 4
        past = [[0] * (self.back * self.bits)] * header.channels
        tokens = []
        for _ in range(frames):
            for channel in range(header.channels):
                rows = zip(self.past, self.hidden_bias, strict=True)
                sums = [b + sum(w * s for w, s in zip(row, past[channel], strict=True)) for row, b in rows]
                signs = []
                for bit in range(self.bits):
                    middle = low + ((high - low) * self.probability(bit, sums) >> 16)
                    signs.append(1 if number <= middle else -1)
                    low, high = (low, middle) if number <= middle else (middle + 1, high)
                    while low >> 24 == high >> 24:
                        byte = payload[position] if position < len(payload) else 0
                        position += 1
                        low, high = low << 8 & 0xFFFFFFFF, high << 8 & 0xFFFFFFFF | 255
                        number = number << 8 & 0xFFFFFFFF | byte
                    sums = [s + signs[-1] * w for s, w in zip(sums, self.present[bit], strict=True)]
                past[channel] = (signs + past[channel])[: self.back * self.bits]
                for first in range(0, self.bits, header.bits):
                    token = signs[first : first + header.bits]
                    tokens.append(sum(1 << i for i, sign in enumerate(token) if sign > 0))
        need(position >= len(payload), "a coded payload that is too long")
        return tokens


def gains_at(payload: bytes, offset: int, size: int) -> list[int]:
    return [byte - 256 if byte > 127 else byte for byte in payload[offset : offset + size]]


def frames_of(header: Header, block: Block, predictor: Predictor | None, before: list[int]) -> tuple[list, list[int]]:
    """Section 5: the gains of a data block's frames, each for all channels, and their tokens in payload order;
    ``before``: the gains of the frame before."""
    payload, frames = block.payload, header.frames_per_block
    if block.type & 0x10:
        frames, payload = number_at(payload, 0, 2), payload[2:]
        need(1 <= frames < header.frames_per_block, "frames of a short block")
    gains = [before if block.compact else [0] * header.gain_size] * frames
    if block.type & 0x40:
        step, first = 2 + header.gain_size, 1 + header.gain_size
        size, last = first + payload[0] * step, 0
        need(len(payload) >= size, "gains are cut off")
        gains = [gains_at(payload, 1, header.gain_size)] * frames
        for at in range(first, size, step):
            frame = number_at(payload, at, 2)
            need(last < frame < frames, "the frame of a gain")
            gains[frame:] = [gains_at(payload, at + 2, header.gain_size)] * (frames - frame)
            last = frame
        payload = payload[size:]
    need(all(low <= x <= high for row in gains for x, (low, high) in zip(row, header.limits, strict=True)), "a gain")
    if block.type & 0x20:
        need(len(payload) < header.raw_size(frames), "a coded payload that is not smaller")
        return gains, predictor.decode(header, payload, frames)
    need(len(payload) == header.raw_size(frames), "a raw payload's size")
    bits = int.from_bytes(payload, "little")
    count = frames * header.channels * header.per_frame
    need(bits >> (count * header.bits) == 0, "padding")
    return gains, [bits >> (t * header.bits) & ((1 << header.bits) - 1) for t in range(count)]


class File:
    """What has been decoded: the tokens of each data block, by its number, and the end block's values."""

    def __init__(self, data: bytes, predictor: Predictor | None, header: Header) -> None:
        self.data = data
        self.header = header
        self.predictor = predictor
        self.metadata: dict[str, str] = {}
        same = predictor is not None and predictor.digest == self.header.fields["predictor_digest"]
        need(not header.coded or (same and predictor.bits == header.per_frame * header.bits), "not the right predictor")
        self.blocks: dict[int, list[int]] = {}
        self.gains: dict[int, list[list[int]]] = {}
        self.gain = [0] * header.gain_size  # of the last frame
        self.next = 0  # e in section 10
        self.frames = 0
        self.samples: int | None = None
        self.count = 0  # data blocks that the end block counts
        self.digest = b""

    def take(self, offset: int, tolerant: bool = False) -> int:
        """Decode the block at ``offset``; where the next one begins."""
        block = Block(self.header, self.data, offset, self.next, tolerant)
        if block.type & SKIPPABLE:
            if block.type == METADATA and not (self.metadata or self.frames):
                self.read_metadata(block.payload)
            if block.type == HEADER_COPY and block.number > self.next:
                self.next, self.frames = block.number, block.number * self.header.frames_per_block
            return block.end
        if block.type == END:
            self.finish(block)
            return block.end
        need(block.type & ~(0x70 if self.header.coded else 0x50) == DATA, "unknown type or flags")
        need(self.frames == self.next * self.header.frames_per_block, "a short block is not the last")
        gains, tokens = frames_of(self.header, block, self.predictor, self.gain)
        self.blocks[block.number], self.gains[block.number], self.gain = tokens, gains, gains[-1]
        self.next = block.number + 1
        self.frames = block.number * self.header.frames_per_block + len(gains)
        return block.end

    def read_metadata(self, payload: bytes) -> None:
        """Section 7."""
        for entry in payload.split(b"\0"):
            key, equals, value = entry.decode("utf-8", "replace").partition("=")
            if equals and key and all(" " <= letter <= "}" for letter in key):
                self.metadata.setdefault(key.lower(), value)

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


def decode(data: bytes, predictor: Predictor | None = None) -> File:
    """The strict decoder: raises Invalid at anything that is wrong."""
    file = File(data, predictor, Header(data))
    offset = file.header.size
    while file.samples is None:
        offset = file.take(offset)
    need(file.count == len(file.blocks), "lost blocks")
    need(hashlib.blake2b(file.token_bytes(), digest_size=8).digest() == file.digest, "digest")
    need(offset == len(data), "bytes after the end block")
    return file


def copied_header(data: bytes) -> Header:
    """That of the first good copy."""
    start = data.find(SYNC)
    while start >= 0:
        try:
            block = Block(header := Header(data[start + 12 :]), data, start, 0, tolerant=True)
            need(block.type == HEADER_COPY and block.length == 4 + header.size, "no copy")
            return header
        except Invalid:
            start = data.find(SYNC, start + 1)
    raise Invalid("no header")


def recover(data: bytes, predictor: Predictor | None = None) -> File:
    """The tolerant decoder of section 10: raises Invalid only for the header; samples stay None without an end."""
    try:
        file, offset = File(data, predictor, header := Header(data)), header.size
    except Invalid:
        need(not is_intact(data), "a header that is refused")
        file, offset = File(data, predictor, copied_header(data)), 0
    while file.samples is None and offset >= 0:
        try:
            offset = file.take(offset, tolerant=True)
        except Invalid:
            offset = data.find(SYNC[:1] if file.header.compact else SYNC, offset + 1)
    return file


def main() -> int:
    data, *others = (Path(name).read_bytes() for name in sys.argv[1:])
    try:
        file = decode(data, Predictor(others[0]) if others else None)
    except Invalid as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 5
    print(json.dumps({"header": file.header.fields, "samples": file.samples, "blocks": list(file.blocks.values())}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
