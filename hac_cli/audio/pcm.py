"""PCM as bytes: how one sample is stored, and the conversion from and to float32."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio.limits import unsupported
from hac_cli.errors import UsageError


@dataclass(frozen=True)
class SampleFormat:
    """How one PCM sample is stored.

    An integer of b bits stands for ``integer / 2**(b - 1)``, so that -1 is exact and 1 is just out of reach.
    """

    kind: str
    """``u``: unsigned integer (8 bits only), ``s``: signed integer, ``f``: IEEE 754 float."""
    bytes_per_sample: int
    big_endian: bool = False

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    def decode(self, data: bytes, channels: int) -> NDArray[np.float32]:
        """Interleaved samples as bytes (a whole number of samples per channel) -> ``[channels, samples]``."""
        if self.is_float:
            with np.errstate(over="ignore"):  # a 64-bit value may be too large: it becomes inf, which is refused
                values: NDArray[np.float32] = np.frombuffer(data, self._dtype).astype(np.float32)
        elif self.kind == "u":
            values = (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
        else:
            integers = self._widened(data) if self.bytes_per_sample == 3 else np.frombuffer(data, self._dtype)
            values = integers.astype(np.float32) / np.float32(1 << (8 * integers.itemsize - 1))
        return np.ascontiguousarray(values.reshape(-1, channels).T)

    def encode(self, block: NDArray[np.float32]) -> bytes:
        """``[channels, samples]`` -> interleaved bytes. Integers are rounded and clipped, floats stay the same."""
        if self.is_float:
            interleaved: NDArray[Any] = block.T
            return interleaved.astype(self._dtype).tobytes()
        integers = self.quantize(block)
        if self.kind == "u":
            return (integers + 128).astype(np.uint8).tobytes()
        if self.bytes_per_sample == 3:
            as_bytes = integers.astype(">i4" if self.big_endian else "<i4").view(np.uint8).reshape(-1, 4)
            return (as_bytes[:, 1:] if self.big_endian else as_bytes[:, :3]).tobytes()
        return integers.astype(self._dtype).tobytes()

    def quantize(self, block: NDArray[np.float32]) -> NDArray[np.int32]:
        """``[channels, samples]`` float -> ``[samples, channels]`` signed integers: the nearest, clipped."""
        limit = 2 ** (8 * self.bytes_per_sample - 1)
        # float32 holds every integer of 24 bits but not those of 32
        precision: type[np.floating] = np.float64 if self.bytes_per_sample == 4 else np.float32
        nearest: NDArray[np.floating] = np.rint(np.multiply(block.T, limit, dtype=precision, order="C"))
        return nearest.clip(-limit, limit - 1).astype(np.int32)

    @functools.cached_property
    def _dtype(self) -> np.dtype[Any]:
        kind = "f" if self.is_float else "i"
        return np.dtype(f"{'>' if self.big_endian else '<'}{kind}{self.bytes_per_sample}")

    def _widened(self, data: bytes) -> NDArray[np.int32]:
        """24-bit samples as the upper three bytes of 32-bit ones, which keeps their sign and relative value."""
        triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(triples), 4), np.uint8)
        wide[:, 1:] = triples[:, ::-1] if self.big_endian else triples
        return wide.view("<i4")[:, 0]


S16 = SampleFormat("s", 2)

_RAW_NAMES = {
    "u8": SampleFormat("u", 1),
    "s16": S16,
    "s24": SampleFormat("s", 3),
    "s32": SampleFormat("s", 4),
    "f32": SampleFormat("f", 4),
}
_RAW_PATTERN = re.compile(rf"(\d+):(\d+):({'|'.join(_RAW_NAMES)})(le|be)?", re.ASCII)


@dataclass(frozen=True)
class RawFormat:
    """The layout of headerless PCM, which says nothing about itself."""

    sample_rate: int
    channels: int
    sample_format: SampleFormat = S16

    @classmethod
    def parse(cls, text: str) -> RawFormat:
        """Reads ``RATE:CHANNELS:FORMAT``, such as ``24000:1:s16`` or ``48000:2:f32be``; little-endian unless told.

        Raises UsageError for anything else, or for a rate or channel count that HAC does not code.
        """
        match = _RAW_PATTERN.fullmatch(text.strip().lower())
        if not match:
            raise UsageError(
                f"{text!r} is no raw format; expected RATE:CHANNELS:FORMAT, for example 24000:1:s16, where FORMAT "
                f"is one of {', '.join(_RAW_NAMES)}, with le (the default) or be after it for the byte order"
            )
        sample_rate, channels = int(match[1]), int(match[2])
        if problem := unsupported(sample_rate, channels):
            raise UsageError(f"the raw format {text!r} {problem}")
        named = _RAW_NAMES[match[3]]
        return cls(sample_rate, channels, SampleFormat(named.kind, named.bytes_per_sample, match[4] == "be"))
