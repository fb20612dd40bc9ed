"""Checking a whole file without a codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hac_cli.container.header import Header
from hac_cli.container.pieces import Damage
from hac_cli.container.predictor import Predictor
from hac_cli.container.reader import Reader
from hac_cli.container.source import Readable
from hac_cli.container.summary import Summary


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
        reader.header, reader.summary, tuple(damages), blocks, reader.gives_tokens, reader.bytes_read, reader.metadata
    )
