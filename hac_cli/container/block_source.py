"""A ``.hac`` file's bytes behind its header, as a row of blocks of which nothing but the frame is looked at."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple

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
    unpack_header_copy,
)
from hac_cli.container.header import HEADER_SIZE, MAGIC, Header, header_crc, read_header, stands_intact
from hac_cli.container.source import Readable, Source
from hac_cli.errors import CorruptError, HacError

SEARCHED, SEARCHED_LIVE = 1 << 20, 1 << 16  # bytes in which a copy of the header is looked for


class Truncated(CorruptError):
    """The file ends where a block should."""


class HeaderCopy(NamedTuple):
    """A copy of the header in front of data block ``number``, ``offset`` bytes from the beginning."""

    header: bytes
    number: int
    offset: int


class BlockSource(Source):
    """Reads the header at once. The constructor raises CorruptError where none stands that can be read here, nor, if it
    is damaged or missing, a copy of it in the next ``search`` bytes, all of which are kept. ``copy``: the one that was
    found; nothing is taken then."""

    def __init__(self, stream: Readable, search: int = 0) -> None:
        super().__init__(stream)
        self.copy: HeaderCopy | None = None
        try:
            self.header, self.header_crc = read_header(self)
        except CorruptError as error:
            if stands_intact(self):
                raise
            self.copy = self._find_copy(search) if search else None
            if not self.copy:
                raise CorruptError(error.message + self._advice(search)) from None
            self.header, self.header_crc = Header.unpack(self.copy.header), header_crc(self.copy.header)

    def _find_copy(self, most: int) -> HeaderCopy | None:
        offset = -1
        while (offset := self.find(SYNC, offset + 1, MIN_BLOCK_SIZE + HEADER_SIZE, most)) >= 0:
            with contextlib.suppress(CorruptError):
                block = BlockHeader.unpack(self._bytes(offset, BLOCK_HEADER_SIZE))
                if block.holds_header and (found := unpack_header_copy(self._bytes(offset, block.block_size))):
                    Header.unpack(found[0])
                    return HeaderCopy(*found, offset)
        return None

    def _advice(self, searched: int) -> str:
        """What to say besides of a header that is damaged."""
        if len(self.peek(1 + HEADER_SIZE)) <= HEADER_SIZE:
            return ""
        if searched:
            return ", and no copy of its header is in it"
        return "; hac decompress --recover looks for a copy of it" if self.peek(len(MAGIC)) == MAGIC else ""

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
        number = find_number(self.header_crc, data, possible_numbers(block, payload, due), block.crc_size)
        if number is None:
            raise CorruptError("checksum mismatch")
        return block, number, payload

    def skip_to_sync(self) -> bool:
        """Takes at least one byte, then all before the next that may begin a block; False: the stream ended first."""
        if self.header.compact:
            return self.skip_to(SYNC[:1], COMPACT_HEADER_SIZE + COMPACT_CRC_SIZE)
        return self.skip_to(SYNC, MIN_BLOCK_SIZE)

    def skip_to_block(self, due: int) -> None:
        """Takes all before the next good block, where number ``due`` belongs."""
        while True:
            try:
                self.whole_block(due)
                return
            except CorruptError:
                if not self.skip_to_sync():
                    return

    def _bytes(self, offset: int, size: int) -> bytes:
        """``size`` bytes, ``offset`` from here."""
        data = self.peek(size, offset)
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
