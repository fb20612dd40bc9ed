"""Checking a whole file without a codec."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from hac_cli.container.block_source import BlockSource
from hac_cli.container.blocks import (
    BLOCK_HEADER_SIZE,
    CRC_SIZE,
    END,
    END_SIZE,
    MIN_BLOCK_SIZE,
    BlockHeader,
    End,
    find_number,
)
from hac_cli.container.header import Header
from hac_cli.container.pieces import Damage
from hac_cli.container.predictor import Predictor
from hac_cli.container.reader import Reader
from hac_cli.container.source import Readable
from hac_cli.container.summary import Summary
from hac_cli.errors import CorruptError


@dataclass(frozen=True)
class Report:
    """What :func:`verify` found; ``summary`` is None where the end block is missing or damaged."""

    header: Header
    summary: Summary | None
    damages: tuple[Damage, ...]
    blocks: int
    tokens_checked: bool
    bytes_read: int
    metadata: dict[str, str]

    @property
    def ok(self) -> bool:
        return not self.damages


def verify(source: Readable, predictor: Callable[[Header], Predictor | None] | None = None) -> Report:
    """Read a ``.hac`` file to its end and report every damage. ``predictor``: as for :class:`Reader`.

    Raises CorruptError where the header cannot be read, so that nothing behind it has a meaning.
    """
    damages: list[Damage] = []
    reader = Reader(source, on_damage=damages.append, predictor=predictor)
    blocks = sum(1 for _ in reader)
    return Report(
        reader.header, reader.summary, tuple(damages), blocks, reader.digest_checked, reader.bytes_read, reader.metadata
    )


def samples_at_end(file: BinaryIO) -> int | None:
    """What the end block of a file says, which a header may not: it announces what was expected. ``file`` can seek, and
    stays where it is; None where its last bytes are no end block, or it has neither header nor copy."""
    start = file.tell()
    try:
        source = BlockSource(file, tolerant=True)
        file.seek(-(MIN_BLOCK_SIZE + END_SIZE), os.SEEK_END)
        data = file.read()
        block, end = BlockHeader.unpack(data[:BLOCK_HEADER_SIZE]), End.unpack(data[BLOCK_HEADER_SIZE:-CRC_SIZE])
        end.check(source.header)
        good = block.kind == END and find_number(source.header_crc, data, [end.data_blocks]) is not None
    except (CorruptError, OSError, struct.error):
        return None
    finally:
        file.seek(start)
    return end.samples if good else None
