"""Audio in, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio.decoders import open_decoder
from hac_cli.audio.limits import unsupported
from hac_cli.audio.pcm import RawFormat
from hac_cli.audio.source import ByteSource, Source
from hac_cli.errors import HacError, InputError

LOUDEST = 100.0
"""Times full level, 40 dB: what is so loud are integers that were written as floats, which would be coded to noise."""


class AudioReader:
    """Blocks of float32 ``[channels, samples]`` from a file, a pipe or any binary stream.

    The format is found by content: WAV (also RF64) and raw PCM are read as they come, without seeking; all else
    that libsndfile knows is read by it, and is first copied to a temporary file if it comes through a pipe.

    source: a path, or a stream opened for reading bytes, which the caller closes.
    raw: the layout of headerless PCM; a header of what is no raw PCM is noticed, and refused while iterating.
    block_samples: the largest block, in samples per channel; a second if None. A slow pipe gives smaller blocks,
        of what is there, so that live audio never waits.

    Attributes: ``sample_rate`` in Hz; ``channels``; ``format``, such as ``WAV``, ``FLAC`` or ``raw``; ``tags``, such as
    ``title`` and ``date``; ``samples_expected``, per channel, None where it can't be known beforehand (always so for
    PCM from a pipe), and only a forecast in compressed formats; ``open_ended``, whether it is PCM that doesn't tell its
    length, such as what is just being recorded; ``samples_read`` so far; ``path``, None for a stream; and after
    the last block ``truncated``, which is None or says what is missing, such as
    ``ends after 3.20 s of 10.00 s promised``. All samples that are there are delivered in any case.

    Raises InputError, here if the input is missing, unreadable, empty, not audio, or outside 8 to 192 kHz and 1
    to 8 channels; while iterating if the system can't read on, or at a sample that is NaN, infinite or ``LOUDEST``,
    since one such sample would spoil all that a codec makes of those after it; a pipe, which can't be read again, ends
    there and is ``truncated``. Other values beyond -1 and 1 are passed on.
    """

    def __init__(self, source: Source, raw: RawFormat | None = None, block_samples: int | None = None) -> None:
        assert block_samples is None or block_samples > 0
        self._source = ByteSource(source)
        self.path = self._source.path
        try:
            self._decoder = open_decoder(self._source, raw)
            if problem := unsupported(self._decoder.sample_rate, self._decoder.channels):
                raise InputError(problem)
        except HacError as error:
            self._source.close()
            error.path = self.path
            raise
        self.sample_rate = self._decoder.sample_rate
        self.channels = self._decoder.channels
        self.format = self._decoder.format
        self.samples_expected = self._decoder.samples_expected
        self.tags = self._decoder.tags
        self.samples_read = 0
        self._spoilt: str | None = None
        self._block_samples = block_samples or self.sample_rate

    @property
    def from_pipe(self) -> bool:
        """Whether what comes may be waited for."""
        return not self._source.seekable()

    @property
    def open_ended(self) -> bool:
        return self._decoder.open_ended

    @property
    def truncated(self) -> str | None:
        return self._spoilt or self._decoder.truncated

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self

    def __next__(self) -> NDArray[np.float32]:
        if self._spoilt:
            raise StopIteration
        block = self._decoder.read(self._block_samples)
        block = block[:, : self._good(block)]
        if not block.shape[1]:
            raise StopIteration
        self.samples_read += block.shape[1]
        return block

    def wait_for_blocks(self, block_samples: int) -> None:
        """From now on blocks have so many samples, however slowly these come: each piece of a pipe costs a wake-up."""
        self._block_samples = block_samples
        self._source.wait_for_all()

    def close(self) -> None:
        self._decoder.close()
        self._source.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _good(self, block: NDArray[np.float32]) -> int:
        """How many samples come before the first that can't be meant. What a pipe gave until then is kept, since it
        can't be heard again; of a file that is there, InputError says what is wrong."""
        sizes = np.abs(block)
        if sizes.max(initial=0) < LOUDEST:  # not where one is no number
            return block.shape[1]
        first = int(np.argmin((sizes < LOUDEST).all(axis=0)))
        worst = float(sizes[:, first].max())
        seconds = (self.samples_read + first) / self.sample_rate
        what = f"{worst:.0f}, where 1 is full level" if np.isfinite(worst) else "not a finite number"
        reason = (f"the sample at {seconds:.3f} s is {what}; clean the audio first, for example by writing it as "
                  "16-bit WAV with ffmpeg")  # fmt: skip
        if not self.from_pipe:
            raise InputError(reason, self.path)
        self._spoilt = reason
        return first


def to_mono(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[channels, samples]`` -> ``[1, samples]``: the mean of the channels."""
    return block if block.shape[0] == 1 else block.mean(axis=0, keepdims=True, dtype=np.float32)
