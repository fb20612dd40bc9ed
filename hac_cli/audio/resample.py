"""Streaming conversion of the sample rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_QUALITY = "HQ"


def resampled_length(samples: int, from_rate: int, to_rate: int) -> int:
    """How many samples the Resampler makes of ``samples``: ``samples * to_rate / from_rate``, rounded up.

    Rounded up so that the way there and back never comes out shorter than the original: cutting it to the
    original length is enough.
    """
    return -(-samples * to_rate // from_rate)


class Resampler:
    """Changes the sample rate of a stream of blocks ``[channels, samples]``; rates in Hz.

    The output does not depend on how the input is cut into blocks, is not shifted in time, and after ``flush``
    has exactly ``resampled_length`` samples. Equal rates pass blocks through untouched.

    The filter needs to see some of what follows and works in steps, so the output lags behind the input by up to
    39 ms from 48000 or 44100 to 24000 Hz and back, 37 ms from 16000 to 24000 Hz, 73 ms from 8000 to 24000 Hz. Quality
    is soxr's HQ (20 bits); VHQ doubles the lag where it raises the rate, and the lower ones hardly reduce it.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
        assert from_rate > 0 and to_rate > 0 and channels > 0
        self.from_rate = from_rate
        self.to_rate = to_rate
        self.channels = channels
        self._samples_in = 0
        self._samples_out = 0
        self._flushed = False
        self._stream = None if from_rate == to_rate else _new_stream(from_rate, to_rate, channels)

    def process(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes the next ``[channels, n]`` samples, returns ``[channels, m]`` that are ready; m may be 0."""
        assert not self._flushed and block.shape[0] == self.channels
        if self._stream is None:
            return block
        self._samples_in += block.shape[1]
        return self._run(block, last=False)

    def flush(self) -> NDArray[np.float32]:
        """Ends the stream: the samples that are still due, ``[channels, m]``."""
        assert not self._flushed
        self._flushed = True
        due = resampled_length(self._samples_in, self.from_rate, self.to_rate) - self._samples_out
        if self._stream is None or not due:
            return np.zeros((self.channels, 0), np.float32)
        # soxr rounds its length to the nearest; a little silence after the end makes that one sample more
        silence = np.zeros((self.channels, self.from_rate // self.to_rate + 1), np.float32)
        tail = self._run(silence, last=True)
        assert tail.shape[1] >= due
        return tail[:, :due]

    def _run(self, block: NDArray[np.float32], last: bool) -> NDArray[np.float32]:
        assert self._stream is not None
        interleaved = np.ascontiguousarray(block.T, dtype=np.float32)
        result = np.ascontiguousarray(self._stream.resample_chunk(interleaved, last=last).T)
        self._samples_out += result.shape[1]
        return result


def _new_stream(from_rate: int, to_rate: int, channels: int):  # type: ignore[no-untyped-def]
    import soxr

    return soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality=_QUALITY)
