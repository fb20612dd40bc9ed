"""Noise that is the same everywhere: what a decoder needs for breath and hiss, and no two machines may disagree on.

Integers alone decide it, so that it depends on no library's generator. Two tables of 251 and 256 rows are multiplied
row by row: they meet again after 64,256 steps, 54 seconds, and no ear hears that as a repetition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS = 251, 256
PERIOD = ROWS[0] * ROWS[1]


def tables(channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``[251, channels]`` uniform of variance 1, and ``[256, channels]`` of signs."""
    numbers = _scrambled(sum(ROWS) * channels).reshape(-1, channels)
    uniform = (numbers[: ROWS[0]] / 2.0**31 - 1) * 3**0.5
    signs = np.where(numbers[ROWS[0] :] >> 31, 1, -1)
    return uniform.astype(np.float32), signs.astype(np.float32)


def _scrambled(count: int) -> NDArray[np.uint32]:
    """The finalizer of MurmurHash3 (Appleby, 2011) of 1 to ``count``."""
    x = np.arange(1, count + 1, dtype=np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    return x ^ (x >> np.uint32(16))
