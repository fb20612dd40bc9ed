"""A ``.hac`` file's bytes behind its header, as a row of blocks of which nothing but the frame is looked at."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from hac_cli.container.blocks import (
    BLOCK_HEADER_SIZE,
    CODED,
    COMPACT_CRC_SIZE,
    COMPACT_HEADER_SIZE,
    DATA,
    MIN_BLOCK_SIZE,
    SYNC,
    BlockHeader,
    find_number,
    length_fits,
    possible_numbers,
)
from hac_cli.container.header import read_header
from hac_cli.container.source import Readable, Source
from hac_cli.errors import CorruptError, HacError


class Truncated(CorruptError):
    """The file ends where a block should."""


class BlockSource(Source):
    """Reads the header at once. The constructor raises CorruptError where none stands that can be read here."""

    def __init__(self, stream: Readable) -> None:
        super().__init__(stream)
        self.header, self._header_crc = read_header(self)

    def block_header(self, offset: int = 0) -> BlockHeader:
        """That of the block that begins ``offset`` bytes from here. Raises as ``whole_block``."""
        if self.header.compact:
            block = BlockHeader.unpack_compact(self._bytes(offset, COMPACT_HEADER_SIZE), self.header)
            if block:
                return block
        return BlockHeader.unpack(self._bytes(offset, BLOCK_HEADER_SIZE))

    def whole_block(self, due: int, offset: int = 0) -> tuple[BlockHeader, int, bytes]:
        """Header, number and payload of the good block that stands ``offset`` bytes from here, where number ``due``
        belongs. Nothing is taken. Raises CorruptError, Truncated for one that isn't there as a whole."""
        block = self.block_header(offset)
        if not length_fits(block, self.header):
            raise CorruptError("its length is impossible")
        data = self._bytes(offset, block.block_size)
        payload = data[block.size : -block.crc_size]
        number = find_number(self._header_crc, data, possible_numbers(block, payload, due), block.crc_size)
        if number is None:
            raise CorruptError("checksum mismatch")
        return block, number, payload

    def skip_to_sync(self) -> bool:
        """Takes at least one byte, then all before the next that may begin a block; False: the stream ended first."""
        if self.header.compact:
            return self.skip_to(SYNC[:1], COMPACT_HEADER_SIZE + COMPACT_CRC_SIZE)
        return self.skip_to(SYNC, MIN_BLOCK_SIZE)

    def _bytes(self, offset: int, size: int) -> bytes:
        """``size`` bytes, ``offset`` from here."""
        data = self.peek(offset + size)[offset:]
        if len(data) < size:
            raise Truncated("truncated")
        return data

    def payloads_behind(self, offset: int, number: int) -> Iterator[bytes]:
        """Those of whole coded blocks from ``offset`` on, which follow block ``number`` without anything between."""
        with contextlib.suppress(HacError, OSError):  # what can't be read is told of when it is its turn
            for due in itertools.count(number + 1):
                block, found, payload = self.whole_block(due, offset)
                if found != due or block.tag != DATA | CODED:
                    return
                yield payload
                offset += block.block_size
