"""From bytes to blocks of samples: PCM by ourselves, everything else by libsndfile."""

from __future__ import annotations

import os
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio.chunks import MAGIC_SIZE, MAGICS, Behind, read_tags_behind, what_follows
from hac_cli.audio.cutoff import has_another_flac, has_another_stream, is_cut_off, what_is_behind
from hac_cli.audio.formats import UNCHECKED, places
from hac_cli.audio.magic import may_be_audio
from hac_cli.audio.mp3 import PaddedFile, goes_on, tells_its_length
from hac_cli.audio.pcm import RawFormat, SampleFormat
from hac_cli.audio.source import ByteSource
from hac_cli.audio.tags import SNDFILE_TAGS
from hac_cli.audio.wav import UnsupportedWavError, is_wav, read_wav_header, unwrapped
from hac_cli.errors import InputError

NOT_AUDIO = (
    "is not audio that libsndfile can read; convert it first, for example with ffmpeg, or tell its layout with --raw "
    "if it is headerless PCM"
)
CUT_OFF = "is cut off, so that libsndfile can't read any of it; copy or record it again"
UNCERTAIN = "is a {} file, of which can't be told whether it is whole; convert it to WAV first, for example with sox"
GOES_ON = "goes on with another stream after {:.2f} s, which needs a file of its own"
MORE = "goes on after the {:.2f} s of its header; if that is wrong, write it anew with sox --ignore-length"
ANOTHER = "has a second chunk of samples, after {:.2f} s"
BEHIND = {Behind.FILE: GOES_ON, Behind.ANOTHER: ANOTHER, Behind.MORE: MORE}
HAC = b"\x89HAC"
_NO_RAW = (*MAGICS, HAC, b"fLaC", b"OggS", b"FORM", b"caff", b"riff", b"RIFX", b".snd", b"ID3")
_NO_END = 1 << 62
"""libsndfile says about 2**63 samples where it does not know."""
_PIECE_SAMPLES = 4096
"""libsndfile throws away the whole read in which an error falls, so reads are about as short as a FLAC frame."""
_LARGE_HEADER = 4096
"""Bytes; what is longer holds samples, whatever it says."""
_SECOND_STREAMS = {"OGG": has_another_stream, "MP3": goes_on, "FLAC": has_another_flac}
"""Whether libsndfile stops where more follows, by its names of formats."""
_END_ANNOUNCED = ("AIFF", "AU", "CAF", "RF64", "W64", "WAV", "WAVEX")


class Decoder(Protocol):
    """A source of samples. ``truncated`` says what is missing once ``read`` has returned no more samples.
    ``open_ended``: nothing but the end of the input tells its length, as with what is just being recorded."""

    format: str
    sample_rate: int
    channels: int
    samples_expected: int | None
    open_ended: bool
    truncated: str | None
    tags: dict[str, str]

    def read(self, samples: int) -> NDArray[np.float32]:
        """At most ``samples`` samples, ``[channels, n]``; n = 0 means the end."""
        ...

    def close(self) -> None: ...


def open_decoder(source: ByteSource, raw: RawFormat | None) -> Decoder:
    """Finds out by content what ``source`` holds. Raises InputError if it is nothing that can be read."""
    if raw is not None:
        return PcmDecoder(source, "raw", raw.sample_rate, raw.channels, raw.sample_format, None)
    magic = source.read(MAGIC_SIZE)
    if not magic:
        raise InputError("has no content (0 bytes); record or copy it again")
    source.push_back(magic)
    if is_wav(magic):
        try:
            header = read_wav_header(source.read)
            layout = (header.sample_rate, header.channels, header.sample_format)
            tags, data_size = header.tags, header.data_size
            if source.size is not None and data_size is not None and data_size < (left := source.bytes_left()):
                data_size = unwrapped(data_size, left) if magic[:4] == b"RIFF" else data_size
                tags = tags | read_tags_behind(source.read_at, source.size - left + data_size + data_size % 2)
            return PcmDecoder(source, "WAV", *layout, data_size, tags)
        except UnsupportedWavError as error:
            source.push_back(error.consumed)
    elif magic[:4] == HAC:
        raise InputError("is a .hac file already; hac decompress makes a recording of it")
    elif source.size is None and not may_be_audio(magic):  # before it is copied, to an end that may never come
        raise InputError(NOT_AUDIO)
    return SndfileDecoder(source.as_file())


class PcmDecoder:
    """PCM from where ``source`` stands, ``data_size`` bytes of it, or up to the end if that is None."""

    def __init__(
        self,
        source: ByteSource,
        format: str,
        sample_rate: int,
        channels: int,
        sample_format: SampleFormat,
        data_size: int | None,
        tags: dict[str, str] | None = None,
    ) -> None:
        self.tags = tags or {}
        self.format = format
        self.sample_rate = sample_rate
        self.channels = channels
        self.truncated: str | None = None
        self._source = source
        self._sample_format = sample_format
        self._step = channels * sample_format.bytes_per_sample
        self._data_size = data_size
        self._promised = None if data_size is None else data_size // self._step
        self._delivered = 0
        self.open_ended = self._promised is None
        self.samples_expected = self._expected()

    def read(self, samples: int) -> NDArray[np.float32]:
        if self._promised is not None:
            samples = min(samples, self._promised - self._delivered)
            if not samples:
                self._look_behind()
        data = self._read_whole_samples(samples * self._step)
        return self._sample_format.decode(data, self.channels)

    def close(self) -> None:
        pass

    def _look_behind(self) -> None:
        """Notes what stands behind the chunk of samples, all of which were read."""
        assert self._data_size is not None and self._promised is not None
        self.open_ended = self._source.size is None  # all is there, and nothing but a pipe's end tells
        rest = self._data_size - self._promised * self._step  # of a sample
        behind = what_follows(self._source.read, rest + self._data_size % 2)
        if behind is not Behind.CHUNKS:
            self.truncated = BEHIND[behind].format(self._delivered / self.sample_rate)

    def _read_whole_samples(self, size: int) -> bytes:
        """What is there, at most ``size`` bytes; at least one sample of every channel unless the input ends."""
        data = self._source.read_available(size) if size else b""
        if self.format == "raw" and not self._delivered:
            data = self._without_header(data, size)
        while remainder := len(data) % self._step:
            more = self._source.read_available(self._step - remainder)
            if not more:
                break
            data += more
        whole = data[: len(data) - remainder]
        self._delivered += len(whole) // self._step
        if size and (remainder or not data):
            self._note_end(remainder)
        return whole

    def _without_header(self, data: bytes, size: int) -> bytes:
        """The first bytes of headerless PCM; what may be a header is waited for."""
        while 0 < len(data) < min(4, size) and any(magic.startswith(data) for magic in _NO_RAW):
            if not (more := self._source.read_available(4 - len(data))):
                break
            data += more
        if data[:4] in _NO_RAW:
            raise InputError("has a header, which would be heard as noise; leave out --raw")
        return data

    def _note_end(self, remainder: int) -> None:
        """The input has ended before ``data_size``, or at an unknown size, ``remainder`` bytes into a sample."""
        seconds = f"{self._delivered / self.sample_rate:.2f} s"
        if self._promised is not None:
            promised = f"{self._promised / self.sample_rate:.2f} s"
            self.truncated = f"ends after {seconds} of {promised} promised"
        elif self._delivered < (there := self.samples_expected or 0):  # it was cut off meanwhile
            self.truncated = f"ends after {seconds} of {there / self.sample_rate:.2f} s that were there before"
        elif remainder:
            self.truncated = f"ends in the middle of a sample after {seconds}"

    def _expected(self) -> int | None:
        """Only a regular file is believed, and no more than it holds."""
        if self._source.size is None:
            return None
        available = self._source.bytes_left() // self._step
        return available if self._promised is None else min(available, self._promised)


class SndfileDecoder:
    """Whatever libsndfile can read, from a file on disk that stands at its start."""

    def __init__(self, file: IO[bytes]) -> None:
        import soundfile

        class ForwardOnly(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
            """soundfile seeks to where it is after every read, which resets the MP3 decoder: audible gaps."""

            def seekable(self) -> bool:
                return False

        self._error_type = soundfile.LibsndfileError
        self._cut_off = is_cut_off(file)
        try:
            self._sound = ForwardOnly(file.fileno(), closefd=False)
        except soundfile.LibsndfileError as error:
            raise InputError(CUT_OFF if self._cut_off else NOT_AUDIO) from error
        if self._sound.format in UNCHECKED:
            raise InputError(UNCERTAIN.format(self._sound.format))
        knows_length = 0 <= self._sound.frames < _NO_END
        if self._sound.format == "MP3" and not tells_its_length(file):
            knows_length = False
            self._sound.close()
            self._sound = ForwardOnly(PaddedFile(file))
        self.format: str = self._sound.format
        self._file = file
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self._places = places(self._sound.subtype, self.channels)
        self.samples_expected: int | None = self._sound.frames if knows_length else None
        self.open_ended = False
        self.truncated: str | None = None
        self.tags = {key: value for key in SNDFILE_TAGS if (value := getattr(self._sound, key))}
        self._delivered = 0

    def read(self, samples: int) -> NDArray[np.float32]:
        pieces = []
        wanted = samples
        while wanted and self.truncated is None:
            piece = self._read_piece(min(wanted, _PIECE_SAMPLES))
            if not len(piece):
                break
            pieces.append(piece)
            wanted -= len(piece)
        block = np.concatenate(pieces) if pieces else np.empty((0, self.channels), np.float32)
        return np.ascontiguousarray(block.T[list(self._places)])

    def close(self) -> None:
        self._sound.close()

    def _read_piece(self, samples: int) -> NDArray[np.float32]:
        """``[n, channels]``, the way libsndfile has it; notes what is missing at the end."""
        failed = False
        if self.samples_expected is not None:  # libsndfile would read into what follows, such as tags, and fail
            samples = min(samples, self.samples_expected - self._delivered)
        try:
            piece: NDArray[np.float32] = self._sound.read(samples, dtype="float32", always_2d=True)
        except self._error_type:
            failed, piece = True, np.empty((0, self.channels), np.float32)
        self._delivered += len(piece)
        if not len(piece):
            self._note_end(failed)
        return piece

    def _note_end(self, failed: bool) -> None:
        """``failed``: by an error, not in good order."""
        seconds = f"{self._delivered / self.sample_rate:.2f} s"
        if self.samples_expected is not None and self._delivered < self.samples_expected:
            promised = f"{self.samples_expected / self.sample_rate:.2f} s"
            self.truncated = f"only {seconds} of {promised} could be decoded"
        elif (goes_on := _SECOND_STREAMS.get(self.format)) and goes_on(self._file):
            self.truncated = GOES_ON.format(self._delivered / self.sample_rate)
        elif failed or self._cut_off:
            self.truncated = f"is damaged or cut off after {seconds}"
        elif not self._delivered and os.fstat(self._file.fileno()).st_size > _LARGE_HEADER:
            self.truncated = "says that it has no samples, but is longer than that; its header was never completed"
        elif self.format in _END_ANNOUNCED and (told := BEHIND.get(what_is_behind(self._file))):
            self.truncated = told.format(self._delivered / self.sample_rate)
