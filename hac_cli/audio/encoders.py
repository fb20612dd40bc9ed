"""From blocks of samples to bytes: PCM and WAV by ourselves, everything else by libsndfile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio.formats import PCM_FORMATS, FileFormat, places
from hac_cli.audio.pcm import SampleFormat
from hac_cli.audio.tags import SNDFILE_TAGS, info_chunk
from hac_cli.audio.target import ByteTarget
from hac_cli.audio.wav import wav_header
from hac_cli.errors import OutputError, UsageError

_BYTES_SURELY_IN_WAV = 1 << 31
_PIECE_SAMPLES = 16_384
"""libvorbis puts the whole of a write on the stack, and the process dies of a large one."""
_LONGEST_TAG = 5000
"""Bytes. libsndfile makes of longer ones AIFF and Opus that nobody can open, and leaves all tags out of CAF."""


class Encoder(Protocol):
    def write(self, block: NDArray[np.float32]) -> None:
        """Takes ``[channels, samples]``."""
        ...

    def finish(self) -> None:
        """Completes what was written; nothing may follow."""
        ...


class PcmEncoder:
    """Samples one after the other, and nothing else."""

    def __init__(self, target: ByteTarget, sample_format: SampleFormat) -> None:
        self._target = target
        self._sample_format = sample_format

    def write(self, block: NDArray[np.float32]) -> None:
        self._target.write(self._sample_format.encode(block))

    def finish(self) -> None:
        pass


class WavEncoder:
    """A header, then PCM; a file's header is corrected in the end, a pipe's must do as it is.

    samples: how many per channel are expected, None if unknown.
    """

    def __init__(
        self,
        target: ByteTarget,
        sample_format: SampleFormat,
        sample_rate: int,
        channels: int,
        samples: int | None,
        tags: Mapping[str, str],
    ) -> None:
        self._target = target
        self._pcm = PcmEncoder(target, sample_format)
        self._bytes_per_step = channels * sample_format.bytes_per_sample
        self._announced = samples
        self._written = 0
        may_grow = samples is None or samples * self._bytes_per_step > _BYTES_SURELY_IN_WAV
        room_for_rf64 = target.seekable and may_grow
        self._header: Callable[[int | None], bytes] = lambda known: wav_header(
            sample_format, sample_rate, channels, known, room_for_rf64, info_chunk(tags)
        )
        target.write(self._header(samples))

    def write(self, block: NDArray[np.float32]) -> None:
        self._pcm.write(block)
        self._written += block.shape[1]

    def finish(self) -> None:
        as_announced = self._written == self._announced
        odd = self._written * self._bytes_per_step % 2
        if odd and (as_announced or self._target.seekable):
            self._target.write(b"\0")  # chunks have an even length; without one in the header there is no telling
        if self._target.seekable and not as_announced:
            self._target.seek(0)
            self._target.write(self._header(self._written))
            self._target.seek(0, os.SEEK_END)


class SndfileEncoder:
    """Whatever libsndfile can write. Raises UsageError if it refuses such audio in such a format.

    samples: how many per channel are expected, None if unknown.
    """

    def __init__(
        self,
        target: ByteTarget,
        format: FileFormat,
        sample_rate: int,
        channels: int,
        samples: int | None,
        tags: Mapping[str, str],
    ) -> None:
        import soundfile

        self._sample_format = PCM_FORMATS.get(format.subtype)
        self._format = format
        self._order = np.argsort(places(format.subtype, channels))
        self._path = target.path
        self._written = 0
        self._check_length(samples or 0, channels)
        self._callbacks = _Callbacks(target)
        self._error_type = soundfile.LibsndfileError
        try:
            self._sound = soundfile.SoundFile(
                self._callbacks, "w", sample_rate, channels, format.subtype, format=format.container
            )
        except soundfile.LibsndfileError as error:
            self._callbacks.raise_error()
            raise UsageError(
                f"libsndfile can't write {channels} channels at {sample_rate} Hz as {format.container} "
                f"{format.subtype}; use .wav or .flac",
                self._path,
            ) from error
        for key, value in tags.items():
            if key in SNDFILE_TAGS and _can_hold(format.container, value):
                with contextlib.suppress(soundfile.LibsndfileError):  # the format has no place for it
                    setattr(self._sound, key, value)

    def write(self, block: NDArray[np.float32]) -> None:
        samples = self._for_libsndfile(block[self._order])
        self._written += len(samples)
        self._check_length(self._written, len(block))
        for start in range(0, len(samples), _PIECE_SAMPLES):
            self._call(self._sound.write, samples[start : start + _PIECE_SAMPLES])

    def finish(self) -> None:
        self._call(self._sound.close)
        if not self._written and not self._format.may_be_empty:
            raise OutputError(
                f"{self._format.container} {self._format.subtype} can't be without any samples; use .wav",
                self._path,
            )

    def _check_length(self, samples: int, channels: int) -> None:
        most = self._format.max_bytes
        if most and self._sample_format and samples * channels * self._sample_format.bytes_per_sample > most:
            raise OutputError(f"{self._format.container} can't hold 4 GiB; use .flac or .wav", self._path)

    def _for_libsndfile(self, block: NDArray[np.float32]) -> NDArray[Any]:
        """``[samples, channels]``; integers are made here, since libsndfile scales floats by one less."""
        result: NDArray[Any] = block.T
        if self._sample_format is None:
            result = np.clip(result, -1, 1)
        elif not self._sample_format.is_float:
            unused_bits = 32 - 8 * self._sample_format.bytes_per_sample  # libsndfile takes the upper ones
            result = np.left_shift(self._sample_format.quantize(block), unused_bits)
        return result

    def _call(self, function: Callable[..., None], *arguments: NDArray[Any]) -> None:
        try:
            function(*arguments)
        except (self._error_type, AssertionError) as error:  # soundfile asserts that all was written
            self._callbacks.raise_error()
            raise OutputError(f"libsndfile can't write on: {error}", self._path) from error
        self._callbacks.raise_error()


class _Callbacks:
    """The file as libsndfile sees it: an exception can't pass through C, so it is kept until we are back."""

    def __init__(self, target: ByteTarget) -> None:
        self._target = target
        self._error: Exception | None = None

    def write(self, data: bytes) -> int:
        return self._guarded(self._target.write, data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._guarded(self._target.seek, offset, whence)

    def tell(self) -> int:
        return self._guarded(self._target.tell)

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _guarded(self, function: Callable[..., int], *arguments: Any) -> int:
        try:
            return function(*arguments)
        except (OutputError, OSError, ValueError) as error:  # ValueError: already closed after an error
            self._error = self._error or error
            return 0


def _can_hold(container: str, tag: str) -> bool:
    """Whether libsndfile writes a tag such that it can be read again."""
    if container == "MP3" and not tag.isascii():  # it takes the bytes of UTF-8 for letters of Latin-1
        return False
    return container == "FLAC" or len(tag.encode()) <= _LONGEST_TAG
