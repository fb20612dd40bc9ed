"""From payloads of data blocks to tokens: coded ones together with those behind them, which is faster in Python."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hac_cli.container.coding import unpack_coded
from hac_cli.container.header import Header
from hac_cli.container.packing import Tokens, unpack_raw
from hac_cli.container.predictor import Predictor
from hac_cli.errors import CorruptError

TOGETHER = 32
"""Coded blocks that are decoded at once, in Python in a third of the time and in C in the same, where reading ahead
keeps nobody waiting: one, two, four and so on up to that, since nobody may want more than the first."""
TOGETHER_BITS = 1 << 20
"""What they may hold, or memory would grow with the largest blocks that there may be."""


class Unpacker:
    """Gives payloads' tokens; without a predictor None for coded ones."""

    def __init__(self, header: Header, predictor: Predictor | None, ahead: bool) -> None:
        self._header = header
        self._predictor = predictor
        block_bits = header.channels * header.frames_per_block * header.tokens_per_frame * header.bits_per_token
        self._most = max(1, min(TOGETHER, TOGETHER_BITS // block_bits)) if ahead else 1
        self._together = 1
        self._unpacked: dict[tuple[bytes, int], Tokens | None] = {}

    def tokens(self, payload: bytes, frames: int, coded: bool, behind: Iterable[bytes]) -> Tokens | None:
        """``behind``: the payloads of the coded blocks that follow, each of ``frames_per_block`` frames, of which no
        more are taken than are decoded with this one and kept until they are asked for. Raises CorruptError."""
        if not coded:
            return unpack_raw(payload, frames, self._header)
        if len(payload) >= self._header.raw_size(frames):
            raise CorruptError("a coded payload is not smaller than a raw one")
        if self._predictor is None:
            return None
        if (payload, frames) not in self._unpacked:
            more = self._together - 1 if frames == self._header.frames_per_block else 0
            payloads = [payload, *itertools.islice(behind, more)]
            tokens = unpack_coded(payloads, frames, self._header, self._predictor)
            self._unpacked = {(payload, frames): found for payload, found in zip(payloads, tokens, strict=True)}
            self._together = min(2 * self._together, self._most)
        found = self._unpacked[payload, frames]
        if found is None:
            raise CorruptError("the payload is longer than its tokens")
        return found
