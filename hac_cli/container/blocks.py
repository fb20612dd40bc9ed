"""The frame around every payload, and the end block's payload. See ``format_spec.md``, "Blocks"."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hac_cli.container.coding import pack_coded
from hac_cli.container.gains import Gains, pack_gains, sizes, split_gains
from hac_cli.container.header import HEADER_SIZE, MAX_HEADER_SIZE, Header, header_crc
from hac_cli.container.packing import TokenDigest, pack_raw
from hac_cli.container.predictor import Predictor
from hac_cli.errors import CorruptError, UsageError

SYNC = b"\xf5\xb1"  # F5 never occurs in UTF-8, and the pair does not overlap itself
BLOCK_HEADER_SIZE = 8
CRC_SIZE = 4
MIN_BLOCK_SIZE = BLOCK_HEADER_SIZE + CRC_SIZE
COMPACT_HEADER_SIZE, COMPACT_CRC_SIZE = 3, 3
MOST_COMPACT = SYNC[1] - 1  # bytes of a compact payload: its length stands where others have the rest of their sync

DATA = 0x01
END = 0x02
SKIPPABLE = 0x80
_KIND_BITS = 0x8F  # the rest of the byte, bits 4 to 6, are flags
HEADER_COPY = SKIPPABLE | 0x03
CODED = 0x20  # flag of a data block: the payload is coded as the header says, not raw
GAINS = 0x40  # flag of a data block: the gains of its frames stand in front of their tokens
SHORT = 0x10  # flag of a data block: fewer frames than usual, counted by the payload's first two bytes

MAX_BLOCKS = 1 << 32
MAX_GAP = 1 << 20  # blocks; how far ahead a block is recognised behind a hole
MAX_COMPACT_GAP = 1 << 12  # a shorter checksum has to be asked fewer questions

_HEADER = struct.Struct("<2sBHHB")
_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")


def _crc8_table() -> bytes:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1) ^ (0x107 if value & 0x80 else 0)
        table.append(value)
    return bytes(table)


_CRC8 = _crc8_table()


def check_byte(data: bytes) -> int:
    """CRC-8, polynomial x^8 + x^2 + x + 1, start 0, as in FLAC's frame header (RFC 9639, section 9.1.8)."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


class BlockHeader(NamedTuple):
    """The eight bytes before a payload, without sync and check byte; or the three of a ``compact`` data block, which
    hold its length and 8 bits of its number."""

    tag: int
    number_low: int
    length: int
    compact: bool = False

    @property
    def kind(self) -> int:
        return self.tag & _KIND_BITS

    @property
    def flags(self) -> int:
        return self.tag & ~_KIND_BITS

    @property
    def skippable(self) -> bool:
        return bool(self.tag & SKIPPABLE)

    @property
    def holds_header(self) -> bool:
        return self.tag == HEADER_COPY and HEADER_SIZE <= self.length - _U32.size <= MAX_HEADER_SIZE

    @property
    def size(self) -> int:
        return COMPACT_HEADER_SIZE if self.compact else BLOCK_HEADER_SIZE

    @property
    def crc_size(self) -> int:
        return COMPACT_CRC_SIZE if self.compact else CRC_SIZE

    @property
    def block_size(self) -> int:
        return self.size + self.length + self.crc_size

    def pack(self) -> bytes:
        if self.compact:
            return bytes([SYNC[0], self.length, self.number_low])
        data = _HEADER.pack(SYNC, self.tag, self.number_low, self.length, 0)[:-1]
        return data + bytes([check_byte(data)])

    @classmethod
    def unpack(cls, data: bytes) -> BlockHeader:
        """Raises CorruptError where no block header stands."""
        sync, tag, number_low, length, check = _HEADER.unpack(data)
        if sync != SYNC or check_byte(data[:-1]) != check:
            raise CorruptError("no block begins where one should")
        return cls(tag, number_low, length)

    @classmethod
    def unpack_compact(cls, data: bytes, header: Header) -> BlockHeader | None:
        """Of a compact block, from its first three bytes; None where another one may stand."""
        if data[0] != SYNC[0] or data[1] > MOST_COMPACT:
            return None
        coded = data[1] < header.raw_size(header.frames_per_block)
        return cls(DATA | CODED if coded else DATA, data[2], data[1], compact=True)


def pack_block(header_crc: int, number: int, tag: int, payload: bytes, compact: bool = False) -> bytes:
    """A whole block. ``number`` counts the data blocks before it."""
    block = BlockHeader(tag, number & (0xFF if compact else 0xFFFF), len(payload), compact)
    data = block.pack() + payload
    return data + _U32.pack(_checksum(header_crc, data, number))[: block.crc_size]


def find_number(header_crc: int, block: bytes, candidates: Iterable[int], crc_size: int = CRC_SIZE) -> int | None:
    """Which of the candidate numbers a whole block's checksum was made with; None: none, it is damaged."""
    data, stored = block[:-crc_size], int.from_bytes(block[-crc_size:], "little")
    state, mask = _checksum(header_crc, data), (1 << 8 * crc_size) - 1
    return next((number for number in candidates if zlib.crc32(_U32.pack(number), state) & mask == stored), None)


def _checksum(header_crc: int, data: bytes, number: int | None = None) -> int:
    """CRC-32 over the header's CRC, the block, and the full number, of which the block holds 16 bits.

    The number comes last so that many candidates can be tried without going over the payload again.
    """
    state = zlib.crc32(data, zlib.crc32(_U32.pack(header_crc)))
    return state if number is None else zlib.crc32(_U32.pack(number), state)


def pack_tokens(tokens: NDArray[Any], header: Header, predictor: Predictor | None) -> tuple[int, bytes]:
    """Tag and payload of a block's tokens, which is all of a compact one: coded if there is a predictor and that makes
    it smaller."""
    if predictor and len(coded := pack_coded(tokens, header, predictor)) < header.raw_size(tokens.shape[1]):
        return DATA | CODED, coded
    return DATA, pack_raw(tokens, header)


def pack_data(tag: int, tokens: bytes, gains: Gains, header: Header) -> tuple[int, bytes]:
    """Tag and payload of any other data block. Raises UsageError where gains make it too large."""
    frames = gains.shape[1]
    if gains.any():
        tag, tokens = tag | GAINS, pack_gains(gains) + tokens
    if frames < header.frames_per_block:
        tag, tokens = tag | SHORT, _U16.pack(frames) + tokens
    if len(tokens) > 0xFFFF:
        raise UsageError(f"a block of {frames} frames has no room for its gains; make blocks shorter")
    return tag, tokens


def split_data(block: BlockHeader, payload: bytes, header: Header, gain: Gains) -> tuple[Gains, bytes]:
    """The gains of a data block's frames, and the payload of their tokens; ``gain``: of the frame before, which is that
    of all frames of a compact block. Raises CorruptError."""
    frames = header.frames_per_block
    if block.flags & SHORT:
        frames, payload = _U16.unpack_from(payload)[0], payload[_U16.size :]
        if not 0 < frames < header.frames_per_block:
            raise CorruptError("a short block's number of frames is out of its limits")
    if block.flags & GAINS:
        return split_gains(payload, header, frames)
    return (gain if block.compact else np.zeros_like(gain)).repeat(frames, 1), payload


def pack_header_copy(header: bytes, number: int) -> bytes:
    """A block with a copy of the header's bytes, in front of data block ``number``."""
    return pack_block(header_crc(header), number, HEADER_COPY, _U32.pack(number) + header)


def unpack_header_copy(block: bytes) -> tuple[bytes, int] | None:
    """Header and number of a whole block that ``holds_header``; None where it is damaged."""
    payload = block[BLOCK_HEADER_SIZE:-CRC_SIZE]
    header, numbers = payload[_U32.size :], possible_numbers(BlockHeader.unpack(block[:BLOCK_HEADER_SIZE]), payload, 0)
    number = find_number(header_crc(header), block, numbers)
    return None if number is None else (header, number)


class End(NamedTuple):
    """Payload of the end block; ``samples`` per channel at the original rate."""

    samples: int
    data_blocks: int
    last_frames: int
    digest: bytes

    def frames(self, header: Header) -> int:
        """Frames per channel of the whole file."""
        return max(0, self.data_blocks - 1) * header.frames_per_block + self.last_frames

    def pack(self) -> bytes:
        return _END.pack(*self)

    @classmethod
    def unpack(cls, payload: bytes) -> End:
        return cls(*_END.unpack(payload))

    def check(self, header: Header) -> None:
        """Raises CorruptError where a count breaks the limits."""
        most = header.frames_per_block if self.data_blocks else 0
        if not min(1, most) <= self.last_frames <= most or self.samples > header.max_samples(self.frames(header)):
            raise CorruptError("its counts are out of their limits")


_END = struct.Struct(f"<QIH{TokenDigest.SIZE}s")
END_SIZE = _END.size


def possible_numbers(block: BlockHeader, payload: bytes, due: int) -> range:
    """Full numbers that a block with these low 16 bits may have where number ``due`` is due, the nearest first."""
    if block.compact:
        return range(due + ((block.number_low - due) & 0xFF), min(due + MAX_COMPACT_GAP, MAX_BLOCKS), 1 << 8)
    first = due + ((block.number_low - due) & 0xFFFF)
    if block.kind == END or block.tag == HEADER_COPY:
        first = End.unpack(payload).data_blocks if block.kind == END else _U32.unpack_from(payload)[0]
        agrees = first & 0xFFFF == block.number_low and first >= due
        return range(first, first + agrees)
    return range(first, min(due + MAX_GAP, MAX_BLOCKS), 1 << 16)


def length_fits(block: BlockHeader, header: Header) -> bool:
    """Whether a block's payload length is possible: asked before the payload is waited for."""
    if block.kind == DATA:
        short = bool(block.flags & SHORT)
        most = header.raw_size(header.frames_per_block - short)
        least = 0 if block.flags & CODED else 1 if short else most
        extra = sizes(header.gain_rows) if block.flags & GAINS else range(1)
        length = block.length - _U16.size * short
        return least + extra[0] <= length <= most - bool(block.flags & CODED) + extra[-1]
    if block.tag == HEADER_COPY:
        return block.holds_header
    return block.kind != END or block.length == END_SIZE
