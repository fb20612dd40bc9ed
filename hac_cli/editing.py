"""Cutting and joining ``.hac`` files without coding anything again: tokens go from file to file as they are."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hac_cli.audio import ByteSource, ByteTarget, Source, Target, refuse_same_file, whole_bytes
from hac_cli.container import CODEC_SAMPLE_RATE, VERSION, Header, Reader, Writer
from hac_cli.errors import HacError, OutputError, RangeError, UsageError
from hac_cli.predictors import for_header, open_reader
from hac_cli.window import Window


@dataclass(frozen=True)
class Piece:
    """What ``cut`` took: ``samples`` per channel from sample ``first`` of the recording on."""

    first: int
    samples: int
    sample_rate: int


def cut(source: Source, target: Target, *, start: float = 0.0, duration: float | None = None) -> Piece:
    """Writes a part of a ``.hac`` file as a file of its own.

    It ends at exactly the sample asked for. It begins at the last frame that starts at or before the sample asked
    for, and on a whole sample (every frame does at 24 and 48 kHz, every third at 16 kHz): at most 14 or 40 ms earlier,
    a second at odd rates. Its first tenths of a second sound a little different from the whole, since the decoder
    starts afresh there, and its noise is other noise.

    Raises CorruptError at damage in what it reads, UsageError for a start below 0 or behind the end, or a target that
    is the source.
    """
    refuse_same_file(source, target)
    with ByteSource(source) as file, whole_bytes(target) as sink:
        reader = open_reader(file)
        header, rate = reader.header, reader.header.sample_rate
        window = Window.of_seconds(start, duration, rate)
        step = CODEC_SAMPLE_RATE // math.gcd(header.hop_length * rate, CODEC_SAMPLE_RATE)
        first_frame = window.start * CODEC_SAMPLE_RATE // (rate * header.hop_length) // step * step
        first = header.samples_of(first_frame)
        writer = _new_writer(sink, reader)
        stop_frame = None if window.stop is None else header.frames_for(window.stop)
        total = _copy_frames(reader, writer, first_frame, stop_frame)
        end = min(x for x in (window.stop, total) if x is not None)
        if end < first or (total is not None and window.start > total):
            raise RangeError(f"the recording ends at {end / rate:.3f} s, before that start")
        return Piece(first, writer.finish(end - first).samples, rate)


def _copy_frames(reader: Reader, writer: Writer, first: int, stop: int | None) -> int | None:
    """Copies the frames from ``first`` to before ``stop``; gives the recording's samples if it came to its end."""
    reader.skip_blocks(first // reader.header.frames_per_block)
    position = reader.frames_passed
    for block in reader:
        part = slice(max(0, first - position), None if stop is None else max(0, stop - position))
        writer.write(block.tokens[:, part], block.gains[:, part])
        position += block.frames
        if stop is not None and position > stop:  # where it just comes to it, this may be the end
            return None
    return reader.summary.samples if reader.summary else None


def cat(sources: Sequence[Source], target: Target) -> list[float]:
    """Joins ``.hac`` files of the same model, sample rate and channels; gives the second at which each begins.

    Each begins on the first frame behind the last one, so that between two of them there is what the look-ahead and
    the last frame's rest are worth: up to 54 ms of silence, or nearly, none of which is taken from either.

    Raises CorruptError for any damage, UsageError where files don't fit together, or where one of them is the target.
    """
    if not sources:
        raise UsageError("name one file at least")
    kind = None
    for source in sources:
        refuse_same_file(source, target)
        if isinstance(source, str | os.PathLike) and Path(source).is_file():  # it can be read twice: before all else
            with _opened(source) as reader:
                kind = _same_kind(kind, reader.header)
    with whole_bytes(target) as sink:
        writer: Writer | None = None
        begins: list[float] = []
        frames = samples = 0
        for source in sources:
            with _opened(source) as reader:
                header = reader.header
                kind = _same_kind(kind, header)
                writer = writer or _new_writer(sink, reader)
                samples = header.samples_of(frames)
                begins.append(samples / header.sample_rate)
                for block in reader:
                    writer.write(block.tokens, block.gains)
                    frames += block.frames
                assert reader.summary
                samples += reader.summary.samples
        assert writer
        writer.finish(samples)
        return begins


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Reader]:
    """One of several files, whose name is in errors of its own."""
    with ByteSource(source) as file:
        try:
            yield open_reader(file)
        except OutputError:
            raise
        except HacError as error:
            error.path = error.path or file.path or "standard input"
            raise


def _same_kind(kind: tuple[object, ...] | None, header: Header) -> tuple[object, ...]:
    if kind not in (None, _kind(header)):
        raise UsageError("has another model, sample rate, number of channels or kind of gains than the others")
    return _kind(header)


def _kind(header: Header) -> tuple[object, ...]:
    """What must be the same in files that are to become one."""
    return (
        header.sample_rate, header.channels, header.model_id, header.weights_digest, header.bits_per_token,
        header.tokens_per_frame, header.hop_length, header.pre_skip, header.tinted,
        header.band_limited,
    )  # fmt: skip


def _new_writer(sink: ByteTarget, like: Reader) -> Writer:
    """A file like another one, but for its length, which is not known yet, and for what nobody here knows of it."""
    tags, predictor = like.read_metadata(), for_header(like.header)
    header = dataclasses.replace(like.header, total_samples=None, compatible_flags=0, version=VERSION)
    writer = Writer(sink, header, predictor)
    writer.write_metadata(tags)
    return writer
