"""A ``.hac`` file's bytes behind its header, as a row of blocks of which nothing but the frame is looked at."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hac_cli.container.blocks import (
    BLOCK_HEADER_SIZE,
    CODED,
    COMPACT_CRC_SIZE,
    COMPACT_HEADER_SIZE,
    CRC_SIZE,
    DATA,
    GAINS,
    MIN_BLOCK_SIZE,
    SYNC,
    BlockHeader,
    find_number,
    length_fits,
    possible_numbers,
    split_data,
    unpack_header_copy,
)
from hac_cli.container.header import HEADER_SIZE, MAGIC, Header, Refused, header_crc, peek_header
from hac_cli.container.source import Readable, Source
from hac_cli.errors import CorruptError, HacError

SEARCHED = 1 << 20  # bytes in which a copy of the header is looked for


class Truncated(CorruptError):
    """The file ends where a block should."""


class HeaderCopy(NamedTuple):
    """A copy of the header in front of data block ``number``, ``offset`` bytes from the beginning."""

    header: bytes
    number: int
    offset: int


class BlockSource(Source):
    """Reads the header at once. The constructor raises Refused for one that can't be read here, and CorruptError where
    none stands, nor, ``tolerant``, a copy of it in the next 2^20 bytes, which are all kept. ``copy``: the one that was
    found; nothing is taken then."""

    def __init__(self, stream: Readable, tolerant: bool = False) -> None:
        super().__init__(stream)
        self.copy: HeaderCopy | None = None
        try:
            data = peek_header(self)
            self.header = Header.unpack(data)
            self.skip(len(data))
        except Refused:
            raise
        except CorruptError as error:
            self.copy = self._find_copy() if tolerant or self.never_waits else None
            if not (self.copy and tolerant):
                raise CorruptError(self._advice(error.message, tolerant)) from None
            data = self.copy.header
            self.header = Header.unpack(data)
        self.header_crc = header_crc(data)

    def _find_copy(self) -> HeaderCopy | None:
        offset = -1
        while (offset := self.find(SYNC, offset + 1, MIN_BLOCK_SIZE + HEADER_SIZE, SEARCHED)) >= 0:
            with contextlib.suppress(CorruptError):
                block = BlockHeader.unpack(self._bytes(offset, BLOCK_HEADER_SIZE))
                if block.holds_header and (found := unpack_header_copy(self._bytes(offset, block.block_size))):
                    Header.unpack(found[0])
                    return HeaderCopy(*found, offset)
        return None

    def _advice(self, message: str, tolerant: bool) -> str:
        """What is wrong with the header, and what to do."""
        if self.copy:
            return "its header is missing or damaged; hac decompress --recover goes by a copy of it"
        if self.peek(len(MAGIC)) != MAGIC or len(self.peek(1 + HEADER_SIZE)) <= HEADER_SIZE:
            return message
        if tolerant or self.never_waits:
            return f"{message}, and no copy of its header is in it"
        return f"{message}; hac decompress --recover looks for a copy of it"

    def begins_anew(self) -> bool:
        """Whether another recording begins here: an intact header, and not that of a copy whose frame is damaged, which
        its block's CRC follows, where a block should."""
        if self.peek(len(MAGIC)) != MAGIC:
            return False
        try:
            header = peek_header(self)
            Header.unpack(header)
        except CorruptError as error:
            return isinstance(error, Refused)
        behind = self.peek(CRC_SIZE + 1, len(header))
        return behind[:1] == SYNC[:1] != behind[CRC_SIZE:]

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
        """Takes at least one byte, then all before what may begin a block or a header; False: nothing does any more."""
        if self.header.compact:
            return self.skip_to((SYNC[:1], MAGIC), COMPACT_HEADER_SIZE + COMPACT_CRC_SIZE)
        return self.skip_to((SYNC, MAGIC), MIN_BLOCK_SIZE)

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
        """Coded tokens of the whole blocks from ``offset`` on that follow block ``number`` without anything between."""
        with contextlib.suppress(HacError, OSError):  # what can't be read is told of when it is its turn
            for due in itertools.count(number + 1):
                block, found, payload = self.whole_block(due, offset)
                if found != due or block.tag & ~GAINS != DATA | CODED:
                    return
                yield split_data(block, payload, self.header, np.zeros((self.header.channels, 1), np.int8))[1]
                offset += block.block_size
