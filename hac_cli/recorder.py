"""From a recording's samples to a ``.hac`` file's blocks, as ``player`` goes the other way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio import AudioReader, Resampler, to_mono
from hac_cli.conditioning import Conditioner
from hac_cli.container import CODEC_SAMPLE_RATE, Writer
from hac_cli.model.stream import EncoderStream

if TYPE_CHECKING:
    from hac_cli.search_stream import SearchingStream

Progress = Callable[[int], None]
Samples = NDArray[np.float32]
Tokens = NDArray[np.int32]


class Recorder:
    """Codes a recording for a writer; ``live``, every frame as soon as it can be."""

    def __init__(self, writer: Writer, stream: EncoderStream | SearchingStream, live: bool) -> None:
        header = writer.header
        self._writer, self._stream = writer, stream
        layout = header.channels, header.hop_length, header.pre_skip
        self._conditioner = Conditioner(*layout, live, header.sample_rate)
        self._frame_samples = header.hop_length * header.sample_rate / CODEC_SAMPLE_RATE
        self._frames = 0

    def record(self, reader: AudioReader, mono: bool = False, progress: Progress | None = None) -> None:
        """Writes all frames of what a reader gives, ``mono`` all channels as one; ``progress`` is told how many samples
        were coded. What ends the file is left to the caller."""
        resampler = Resampler(reader.sample_rate, CODEC_SAMPLE_RATE, self._writer.header.channels)
        for block in reader:
            self._write(self._conditioner.push(resampler.process(to_mono(block) if mono else block)))
            if progress:
                progress(min(reader.samples_read, round(self._frames * self._frame_samples)))
        self._write(self._conditioner.push(resampler.flush()))
        self._write(self._conditioner.flush())
        self._write_tokens(self._stream.flush())
        if progress:
            progress(reader.samples_read)

    def _write(self, audio: Samples) -> None:
        self._write_tokens(self._stream.push(audio))

    def _write_tokens(self, tokens: Tokens) -> None:
        self._writer.write(tokens, self._conditioner.gains(tokens.shape[1]))
        self._frames += tokens.shape[1]
