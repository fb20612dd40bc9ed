"""Recordings to ``.hac`` and back: joins ``audio`` (samples at any rate), ``codec`` (24 kHz audio to tokens and
back) and ``container`` (which keeps tokens)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hac_cli.audio import (
    AudioReader,
    AudioWriter,
    ByteSource,
    ByteTarget,
    RawFormat,
    Resampler,
    Source,
    Target,
    to_mono,
)
from hac_cli.codec import decoder_stream, encoder_stream
from hac_cli.container import CODEC_SAMPLE_RATE, Header, Reader, Summary, Writer
from hac_cli.errors import CorruptError
from hac_cli.model import released
from hac_cli.model.engine import DEFAULT_ENGINE
from hac_cli.model.stream import FRAMES_PER_CALL, DecoderStream, EncoderStream

FRAMES_PER_BLOCK = 150
LIVE_FRAMES_PER_BLOCK = 6

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Result:
    """What ``compress`` or ``decompress`` did. ``samples`` are per channel at ``sample_rate``; ``warning`` is set
    when the input ended before it should and was coded as far as it went."""

    samples: int
    sample_rate: int
    channels: int
    file_bytes: int
    payload_bytes: int
    model: str
    warning: str | None = None

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate

    @property
    def bitrate(self) -> float:
        """Bits a second of the whole file, container included; 0 for a recording without samples."""
        return 8 * self.file_bytes / self.seconds if self.samples else 0.0

    @property
    def payload_bitrate(self) -> float:
        return 8 * self.payload_bytes / self.seconds if self.samples else 0.0


def compress(
    source: Source | AudioReader,
    sink: Target,
    *,
    model: str = released.DEFAULT_MODEL,
    mono: bool = False,
    raw: RawFormat | None = None,
    frames_per_block: int | None = None,
    live: bool = False,
    engine: str = DEFAULT_ENGINE,
    progress: Progress | None = None,
) -> Result:
    """Codes a recording into a ``.hac`` file or stream, block by block, in bounded memory.

    Blocks are of 2 s, or of 80 ms if ``live``: then each is coded and written as soon as its audio is there, where
    otherwise a second of audio is coded at a time, which is faster.

    ``source`` and ``sink`` are paths or binary streams (which stay open). Raises InputError for what isn't audio
    that can be read, OutputError for what can't be written, ModelError for an unknown model.
    """
    chosen = released.find(model)
    frames_per_block = frames_per_block or (LIVE_FRAMES_PER_BLOCK if live else FRAMES_PER_BLOCK)
    with contextlib.ExitStack() as stack:
        reader = source if isinstance(source, AudioReader) else stack.enter_context(AudioReader(source, raw))
        header = Header(
            sample_rate=reader.sample_rate,
            channels=1 if mono else reader.channels,
            model_id=chosen.model_id,
            weights_digest=chosen.short_digest,
            bits_per_token=chosen.bits_per_token,
            hop_length=chosen.config.hop_length,
            frames_per_block=frames_per_block,
            pre_skip=chosen.config.look_ahead,
            total_samples=reader.samples_expected,
        )
        writer = Writer(stack.enter_context(contextlib.closing(ByteTarget(sink))), header)
        stream = encoder_stream(header.channels, model=chosen.name, engine=engine,
                                frames_per_call=_frames_per_call(header, live))  # fmt: skip
        _encode_blocks(reader, writer, stream, mono, progress)
        summary = writer.finish(reader.samples_read)
        return _result(header, summary, chosen.name, reader.truncated)


def _encode_blocks(
    reader: AudioReader, writer: Writer, stream: EncoderStream, mono: bool, progress: Progress | None
) -> None:
    resampler = Resampler(reader.sample_rate, CODEC_SAMPLE_RATE, writer.header.channels)
    for block in reader:
        writer.write(stream.push(resampler.process(to_mono(block) if mono else block)))
        if progress:
            progress(reader.samples_read)
    writer.write(stream.push(resampler.flush()))
    writer.write(stream.flush())


def decompress(
    source: Source,
    target: Target,
    *,
    format: str | None = None,
    raw: RawFormat | None = None,
    subtype: str | None = None,
    live: bool = False,
    engine: str = DEFAULT_ENGINE,
    progress: Progress | None = None,
) -> Result:
    """Decodes a ``.hac`` file or stream to exactly the original number of samples, rate and channels.

    With ``live``, audio comes out after every block, where otherwise a second is decoded at a time, which is faster.
    ``format``, ``raw`` and ``subtype`` are those of ``AudioWriter``: by the target's extension, WAV to a stream.
    Raises CorruptError at the first damage (what was written until then is incomplete), ModelError when the
    model or its weights are not those the file was made with, OutputError for what can't be written.
    """
    with contextlib.closing(ByteSource(source)) as file:
        reader = Reader(file)
        header = reader.header
        chosen = released.find_for_file(header.model_id, header.weights_digest)
        chosen.check_layout(header.bits_per_token, header.tokens_per_frame, header.hop_length, header.pre_skip)
        stream = decoder_stream(header.channels, model=chosen.name, engine=engine,
                                frames_per_call=_frames_per_call(header, live))  # fmt: skip
        samples = header.total_samples
        with AudioWriter(target, header.sample_rate, header.channels, format=format, raw=raw, subtype=subtype,
                         samples=samples) as writer:  # fmt: skip
            _decode_blocks(reader, writer, stream, progress)
    assert reader.summary is not None
    return _result(header, reader.summary, chosen.name)


def _decode_blocks(reader: Reader, writer: AudioWriter, stream: DecoderStream, progress: Progress | None) -> None:
    """The audio of the last frame is held back: only the end block tells how many samples it is worth."""
    resampler = Resampler(CODEC_SAMPLE_RATE, reader.header.sample_rate, reader.header.channels)
    last_frame = -(-reader.header.hop_length * reader.header.sample_rate // CODEC_SAMPLE_RATE) + 1
    held = np.zeros((reader.header.channels, 0), np.float32)
    for block in reader:
        audio = np.concatenate([held, resampler.process(stream.push(block.tokens))], 1)
        ready = max(0, audio.shape[1] - last_frame)
        writer.write(audio[:, :ready])
        held = audio[:, ready:]
        if progress:
            progress(writer.samples_written)
    assert reader.summary is not None
    samples = reader.summary.samples
    due = samples - writer.samples_written
    rest = np.concatenate([held, resampler.process(stream.flush()), resampler.flush()], 1)
    if not 0 <= due <= rest.shape[1]:
        raise CorruptError(f"its frames don't fit the {samples} samples that it says")
    writer.write(rest[:, :due])
    if progress:
        progress(samples)


def _frames_per_call(header: Header, live: bool) -> int:
    return min(FRAMES_PER_CALL, header.frames_per_block) if live else FRAMES_PER_CALL


def _result(header: Header, summary: Summary, model: str, warning: str | None = None) -> Result:
    return Result(summary.samples, header.sample_rate, header.channels, summary.file_bytes, summary.payload_bytes,
                  model, warning)  # fmt: skip
