"""Checking a whole file without a codec."""

from __future__ import annotations

from dataclasses import dataclass

from hac_cli.container.header import Header
from hac_cli.container.reader import Damage, Reader
from hac_cli.container.source import Readable
from hac_cli.container.summary import Summary


@dataclass(frozen=True)
class Report:
    """What :func:`verify` found; ``summary`` is None where the end block is missing or damaged."""

    header: Header
    summary: Summary | None
    damages: tuple[Damage, ...]
    blocks: int
    bytes_read: int

    @property
    def ok(self) -> bool:
        return not self.damages


def verify(source: Readable) -> Report:
    """Read a ``.hac`` file to its end and report every damage.

    Raises CorruptError where the header cannot be read, so that nothing behind it has a meaning.
    """
    damages: list[Damage] = []
    reader = Reader(source, on_damage=damages.append)
    blocks = sum(1 for _ in reader)
    return Report(reader.header, reader.summary, tuple(damages), blocks, reader.bytes_read)
