"""A binary arithmetic coder in integers: bits and their probabilities to bytes, and back. See ``format_spec.md``.

At every bit the coder narrows an interval of 32-bit numbers, from ``low`` to ``high`` both included, and takes bytes
off its front as soon as both ends agree on them (M. Mahoney's carryless coder of PAQ and ZPAQ).
"""

from __future__ import annotations

from collections.abc import Iterable

PROBABILITY_BITS = 16
_ALL = 0xFFFF_FFFF


def encode(bits: Iterable[int], probabilities: Iterable[int]) -> bytes:
    """Code bits, each with the probability, in 1/65536, that it is 1 (1 to 65535)."""
    low, high = 0, _ALL
    out = bytearray()
    for bit, probability in zip(bits, probabilities, strict=True):
        middle = low + ((high - low) * probability >> PROBABILITY_BITS)
        if bit:
            high = middle
        else:
            low = middle + 1
        while not (low ^ high) >> 24:
            out.append(high >> 24)
            low = low << 8 & _ALL
            high = high << 8 & _ALL | 0xFF
    return _finish(out, low, high)


def _finish(out: bytearray, low: int, high: int) -> bytes:
    """As few more bytes as place the number in the interval; zero bytes at the end need not be written at all."""
    for size in range(5):
        rest = (1 << 32 - 8 * size) - 1
        number = (low + rest) & ~rest
        if number <= high:
            out += number.to_bytes(4, "big")[:size]
            break
    return bytes(out).rstrip(b"\0")


class Decoder:
    """Takes bits out of the bytes that :func:`encode` gave, in the same order, with the same probabilities."""

    def __init__(self, data: bytes) -> None:
        self._data = data + bytes(4)
        self._low, self._high = 0, _ALL
        self._number = int.from_bytes(self._data[:4], "big")
        self._position = 4

    def bit(self, probability: int) -> int:
        low, high = self._low, self._high
        middle = low + ((high - low) * probability >> PROBABILITY_BITS)
        if self._number <= middle:
            bit, high = 1, middle
        else:
            bit, low = 0, middle + 1
        while not (low ^ high) >> 24:
            low = low << 8 & _ALL
            high = high << 8 & _ALL | 0xFF
            self._number = self._number << 8 & _ALL | self._next()
        self._low, self._high = low, high
        return bit

    def _next(self) -> int:
        self._position += 1
        return self._data[self._position - 1] if self._position <= len(self._data) else 0

    @property
    def at_end(self) -> bool:
        """Whether every byte has come into play: one that has not is none that :func:`encode` wrote."""
        return self._position >= len(self._data) - 4
