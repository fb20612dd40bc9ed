"""How likely the next bit of a token is to be 1: a small network of integers, so that every machine computes the same.

Each bit is foretold from the bits of the same channel's frames before it and from those of its own frame that
are already known. ``format_spec.md``, "Coded tokens", has the arithmetic and the layout of the file.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hac_cli.errors import ModelError

MAGIC = b"HACP"
DIGEST_SIZE = 4
UNIT = 32
"""What stands for 1.0 in the weights of either layer; a logit, their product, has ``UNIT ** 2``."""

_HEADER = struct.Struct("<4s4B")
_LIMITS = ((1, 192), (1, 8), (1, 255))  # bits of a frame, frames looked back at, hidden units

Integers = NDArray[np.int64]
Wholes = NDArray[np.float64]
"""Whole numbers far below 2**53: sums of them are exact in any order, and floats are multiplied faster."""


def _probabilities() -> NDArray[np.int64]:
    """Probability in 1/65536 for every logit from -8 to 8, between points half a unit apart that the document lists."""
    points = np.array([
        22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743, 32768,
        40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
    ])  # fmt: skip
    step = UNIT**2 // 2
    index, part = np.divmod(np.arange(16 * UNIT**2), step)
    between: Integers = (points[index] * (step - part) + points[index + 1] * part) // step
    return between


PROBABILITIES = _probabilities()
ZERO_LOGIT = len(PROBABILITIES) // 2
"""Where a logit of 0 stands in it."""


def probability(logits: Wholes) -> Integers:
    """The probability of a 1, in 1/65536, for each logit."""
    return PROBABILITIES.take(logits.astype(np.int64) + ZERO_LOGIT, mode="clip")


@dataclass(frozen=True, eq=False)
class Predictor:
    """The network for frames of B bits, looking C frames back, with H hidden units.

    ``past`` is ``[H, C * B]``, ``present`` ``[B, H]``, ``hidden_bias`` ``[H]``, ``out`` ``[B, H]``, ``out_bias``
    ``[B]``; int8 and int16 (the biases) in a file. ``digest`` is of the file.
    """

    past: Wholes
    present: Wholes
    hidden_bias: Wholes
    out: Wholes
    out_bias: Wholes
    digest: bytes

    @functools.cached_property
    def rows(self) -> list[tuple[Wholes, int, Wholes]]:
        """For each bit: its weights of the hidden units, its bias, and what it adds to the hidden sums."""
        return list(zip(self.out, self.out_bias.astype(int).tolist(), self.present, strict=True))

    @property
    def bits(self) -> int:
        return len(self.out)

    @property
    def look_back(self) -> int:
        return int(self.past.shape[1]) // self.bits

    @classmethod
    def from_bytes(cls, data: bytes) -> Predictor:
        """Raises ModelError for anything that is not a predictor's file."""
        try:
            magic, bits, look_back, hidden, reserved = _HEADER.unpack_from(data)
        except struct.error:
            raise ModelError("is not a predictor's file; reinstall hac-cli") from None
        sizes = (bits, look_back, hidden)
        fits = all(low <= size <= high for size, (low, high) in zip(sizes, _LIMITS, strict=True))
        weights = hidden * (look_back + 2) * bits
        if magic != MAGIC or reserved or not fits or len(data) != _HEADER.size + weights + 2 * (hidden + bits):
            raise ModelError("is not a predictor's file; reinstall hac-cli")
        small = np.frombuffer(data, np.int8, weights, _HEADER.size).astype(np.float64)
        large = np.frombuffer(data, "<i2", hidden + bits, _HEADER.size + weights).astype(np.float64)
        past, present, out = np.split(small, [hidden * look_back * bits, hidden * (look_back + 1) * bits])
        return cls(
            past.reshape(hidden, -1), present.reshape(bits, hidden), large[:hidden],
            out.reshape(bits, hidden), large[hidden:], hashlib.sha256(data).digest()[:DIGEST_SIZE],
        )  # fmt: skip

    @staticmethod
    def pack(past: Integers, present: Integers, hidden_bias: Integers, out: Integers, out_bias: Integers) -> bytes:
        """The bytes of a predictor's file. Values must be in the ranges of int8 and, the biases, int16."""
        bits, hidden = out.shape
        small = np.concatenate([past.ravel(), present.ravel(), out.ravel()])
        large = np.concatenate([hidden_bias, out_bias])
        assert abs(small).max() <= 127 and abs(large).max() <= 32767
        header = _HEADER.pack(MAGIC, bits, past.shape[1] // bits, hidden, 0)
        return header + small.astype(np.int8).tobytes() + large.astype("<i2").tobytes()

    def start(self, before: Wholes) -> Wholes:
        """Hidden sums of a frame none of whose bits is known, given the ``look_back`` frames before it, the last one
        first: ``[..., C * B]`` of 1 and -1, and 0 for frames before the block."""
        sums: Wholes = before @ self.past.T + self.hidden_bias
        return sums

    def predict(self, signs: Integers) -> Integers:
        """Probability of a 1 for every bit of a block ``[frames, B]`` of signs, all of which are known."""
        frames = len(signs)
        padded = np.concatenate([np.zeros((self.look_back, self.bits)), signs])
        lags = [padded[self.look_back - lag : self.look_back - lag + frames] for lag in range(1, self.look_back + 1)]
        hidden = self.start(np.concatenate(lags, 1))
        logits = np.empty((self.bits, frames))
        active, step = np.empty_like(hidden), np.empty_like(hidden)
        for bit, (out, present) in enumerate(zip(self.out, self.present, strict=True)):
            np.maximum(hidden, 0.0, out=active)
            np.dot(active, out, out=logits[bit])
            hidden += np.multiply(signs[:, bit, None], present, out=step)
        return probability(logits.T + self.out_bias)
