"""Audio out, block by block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio.encoders import Encoder, PcmEncoder, SndfileEncoder, WavEncoder
from hac_cli.audio.formats import PCM_FORMATS, FileFormat, choose_format
from hac_cli.audio.pcm import RawFormat
from hac_cli.audio.target import ByteTarget, Target
from hac_cli.errors import OutputError, UsageError


class AudioWriter:
    """Writes float32 blocks ``[channels, samples]`` to a file, a pipe or any binary stream.

    target: a path, or a stream opened for writing bytes, which the caller closes and which gets WAV or raw PCM
        without seeking, each block flushed.
    format: what to write, by the usual extension (``wav``, ``flac``, ``ogg``, ...); by the path's extension if
        None, and WAV to a stream.
    raw: headerless PCM of this layout, whatever the name says; its rate and channels must be the audio's.
    subtype: libsndfile's name of the sample format, such as ``PCM_24`` or ``FLOAT`` in WAV; PCM_16 if None, or
        the only one of a lossy format.
    samples: how many samples per channel will come, if that is known: a WAV header in a pipe then tells the
        length, and one in a file need not keep room for RF64, which files of 4 GiB and more become. A file's
        header is right in the end in any case.
    tags: such as ``title`` and ``date``; those that the format has a place for are written.

    Integers are rounded to the nearest and clipped, and lossy formats get nothing beyond -1 and 1; float formats
    keep what is beyond, since that is what they are for. ``clipped`` counts the samples that were.

    Raises UsageError, before anything is created, for an unknown format or one that can't hold the audio;
    OutputError if the system can't create or write the file. BrokenPipeError passes through as it is.
    As a context manager it completes the file on leaving. The old content of a path is lost at once.
    """

    def __init__(
        self,
        target: Target,
        sample_rate: int,
        channels: int,
        *,
        format: str | None = None,
        raw: RawFormat | None = None,
        subtype: str | None = None,
        samples: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._tags = tags or {}
        self.path = os.fspath(target) if isinstance(target, str | os.PathLike) else None
        self.sample_rate = sample_rate
        self.channels = channels
        self.samples_written = self.clipped = 0
        self._closed = False
        chosen = self._choose(format, raw, subtype)
        layout = chosen.sample_format if isinstance(chosen, RawFormat) else PCM_FORMATS.get(chosen.subtype)
        self._clips = layout is None or not layout.is_float
        self._target = ByteTarget(target)
        try:
            self._encoder = self._new_encoder(chosen, samples)
        except BaseException:
            self._abandon()
            raise

    def write(self, block: NDArray[np.float32]) -> None:
        """Appends ``[channels, samples]``; any number of samples, also none."""
        assert not self._closed and block.ndim == 2 and block.shape[0] == self.channels
        if block.shape[1]:
            self._encoder.write(block)
            if self._clips:
                self.clipped += int(np.count_nonzero(np.abs(block) > 1))
            self.samples_written += block.shape[1]

    def close(self) -> None:
        """Completes the output; a file is closed, a stream is left open. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._encoder.finish()
        except BaseException:
            self._abandon()
            raise
        self._target.close()

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:  # what went wrong first is what matters
            with contextlib.suppress(OutputError, OSError):
                self.close()

    def _choose(self, format: str | None, raw: RawFormat | None, subtype: str | None) -> FileFormat | RawFormat:
        try:
            if raw is None:
                extension = format or (Path(self.path).suffix if self.path is not None else "wav")
                return choose_format(extension, subtype, self.sample_rate, self.channels)
            if (raw.sample_rate, raw.channels) != (self.sample_rate, self.channels):
                raise UsageError(
                    f"the raw format has {raw.channels} channels at {raw.sample_rate} Hz, but the audio has "
                    f"{self.channels} at {self.sample_rate} Hz; give the raw format the audio's"
                )
            return raw
        except UsageError as error:
            error.path = self.path
            raise

    def _new_encoder(self, chosen: FileFormat | RawFormat, samples: int | None) -> Encoder:
        if isinstance(chosen, RawFormat):
            return PcmEncoder(self._target, chosen.sample_format)
        if chosen.container == "WAV":
            sample_format = PCM_FORMATS[chosen.subtype]
            return WavEncoder(self._target, sample_format, self.sample_rate, self.channels, samples, self._tags)
        if not self._target.seekable:
            raise UsageError(f"{chosen.container} can't be written to a pipe; write WAV or raw PCM", self.path)
        return SndfileEncoder(self._target, chosen, self.sample_rate, self.channels, samples, self._tags)

    def _abandon(self) -> None:
        with contextlib.suppress(OutputError, OSError):
            self._target.close()
