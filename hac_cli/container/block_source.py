"""A ``.hac`` file's bytes behind its header, as a row of blocks of which nothing but the frame is looked at."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from hac_cli.container.blocks import (
    BLOCK_HEADER_SIZE,
    CODED,
    CRC_SIZE,
    DATA,
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

    def whole_block(self, due: int, offset: int = 0) -> tuple[BlockHeader, int, bytes]:
        """Header, number and bytes of the good block that stands ``offset`` bytes from here, where number ``due``
        belongs. Nothing is taken. Raises CorruptError, Truncated for one that isn't there as a whole."""
        start = self.peek(offset + BLOCK_HEADER_SIZE)[offset:]
        if len(start) < BLOCK_HEADER_SIZE:
            raise Truncated("truncated")
        block = BlockHeader.unpack(start)
        if not length_fits(block, self.header):
            raise CorruptError("its length is impossible")
        data = self.peek(offset + block.block_size)[offset:]
        if len(data) < block.block_size:
            raise Truncated("truncated")
        number = find_number(self._header_crc, data, possible_numbers(block, _payload(data), due))
        if number is None:
            raise CorruptError("checksum mismatch")
        return block, number, data

    def payloads_behind(self, offset: int, number: int) -> Iterator[bytes]:
        """Those of whole coded blocks from ``offset`` on, which follow block ``number`` without anything between."""
        with contextlib.suppress(HacError, OSError):  # what can't be read is told of when it is its turn
            for due in itertools.count(number + 1):
                block, found, data = self.whole_block(due, offset)
                if found != due or block.tag != DATA | CODED:
                    return
                yield _payload(data)
                offset += len(data)


def _payload(block: bytes) -> bytes:
    return block[BLOCK_HEADER_SIZE:-CRC_SIZE]
