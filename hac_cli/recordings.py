"""Recordings to ``.hac`` and back: joins ``audio`` (samples at any rate), ``codec`` (24 kHz audio to tokens and
back) and ``container`` (which keeps tokens)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hac_cli import predictors
from hac_cli.audio import (
    AudioReader,
    AudioWriter,
    ByteSource,
    RawFormat,
    Source,
    Target,
    is_seekable,
    refuse_same_file,
    whole,
    whole_bytes,
)
from hac_cli.codec import decoder_stream, encoder_stream, is_searched, searching_stream
from hac_cli.container import CODEC_SAMPLE_RATE, PREDICTED, RAW, Damage, Header, Predictor, Writer, samples_at_end
from hac_cli.container.gains import check_room
from hac_cli.errors import UsageError
from hac_cli.model import released
from hac_cli.model.arrays import as_integer
from hac_cli.model.engine import DEFAULT_ENGINE
from hac_cli.model.stream import FRAMES_PER_CALL, EncoderStream
from hac_cli.player import Player
from hac_cli.recorder import Progress, Recorder
from hac_cli.window import Window

if TYPE_CHECKING:
    from hac_cli.search_stream import SearchingStream

FILE_BLOCK, PIPE_BLOCK, LIVE_BLOCK = 4.0, 2.0, 0.08
"""Seconds of a block in a file, in a pipe, where nothing comes out before a block is full, and live."""

PAYLOADS = ("coded", "raw")


@dataclass(frozen=True)
class Result:
    """What ``compress`` or ``decompress`` did. ``samples`` are per channel at ``sample_rate``; ``warning`` is set
    when the input ended before it should and was coded as far as it went; ``damage`` says what is wrong first and last
    of all with a file that ``recover`` got over, and ``lost`` what it had to conceal, from and to second; ``clipped``
    samples were beyond full level, in a format that can't hold such."""

    samples: int
    sample_rate: int
    channels: int
    file_bytes: int
    payload_bytes: int
    model: str
    warning: str | None = None
    damage: str = ""
    lost: tuple[tuple[float, float], ...] = ()
    clipped: int = 0

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

    @property
    def shortcoming(self) -> str | None:
        """What the output lacks, in words; None if it is whole."""
        if self.warning:
            return f"{self.warning}; it was coded as far as it goes"
        if self.damage:
            places = ", ".join(f"{first:.2f} s to {last:.2f} s" for first, last in self.lost)
            rest = f"but for {places}" if places else "as far as it goes"
            return f"is damaged; recovered {rest} ({self.damage})"
        return None


def compress(
    source: Source | AudioReader,
    sink: Target,
    *,
    model: str = released.DEFAULT_MODEL,
    mono: bool = False,
    raw: RawFormat | str | None = None,
    payload: str = "coded",
    frames_per_block: int | None = None,
    live: bool = False,
    effort: str = "normal",
    engine: str = DEFAULT_ENGINE,
    threads: int = 1,
    metadata: bool = True,
    progress: Progress | None = None,
) -> Result:
    """Codes a recording into a ``.hac`` file or stream, block by block, in bounded memory.

    ``source`` and ``sink`` are paths or binary streams (which stay open). ``raw``: the layout of a source without a
    header, such as "24000:1:s16". ``payload``: "raw" leaves out the entropy coding that makes files smaller;
    ``metadata``: title, date and the like are kept. If ``frames_per_block`` is not given, a pipe's blocks are shorter
    than a file's. ``live``: every block is coded and written as soon as its audio is there, and blocks are short;
    otherwise a second or so is coded at a time, which is faster. ``threads``: 2 are faster where two cores are free;
    the file is the same. ``effort``: "fast" takes the encoder's tokens, "normal" tries what they decode to and changes
    some (``search``), which ``live`` and torch don't, "best" tries for longer.

    Raises InputError for what isn't audio that can be read, OutputError for what can't be written, ModelError for an
    unknown model, UsageError for an unknown effort or payload, for what is to be best and live or in torch, or a sink
    that is the source.
    """
    refuse_same_file(source.path if isinstance(source, AudioReader) else source, sink)
    searched = is_searched(effort, engine, live)
    if payload not in PAYLOADS:
        raise UsageError(f"there is no payload {payload!r}; use one of {', '.join(PAYLOADS)}")
    chosen = released.find(model)
    usual_seconds = LIVE_BLOCK if live else FILE_BLOCK if _is_file(sink) else PIPE_BLOCK
    usual = round(usual_seconds * chosen.config.frame_rate)
    frames = usual if frames_per_block is None else as_integer(frames_per_block, "frames_per_block")
    with contextlib.ExitStack() as stack:
        reader = source if isinstance(source, AudioReader) else stack.enter_context(AudioReader(source, _layout(raw)))
        predictor = predictors.for_model(model) if payload == "coded" else None
        header = _header(reader, chosen, predictor, frames, mono, live)
        check_room(header)
        writer = Writer(stack.enter_context(whole_bytes(sink)), header, predictor)
        stream: EncoderStream | SearchingStream
        if searched:
            threads = 1 if reader.from_pipe else threads  # what was found is written at once, whenever more comes
            searches = searching_stream(header.channels, model=chosen.name, effort=effort, threads=threads)
            stream = stack.enter_context(contextlib.closing(searches))
        else:
            stream = encoder_stream(header.channels, model=chosen.name, engine=engine,
                                    **_pace(header, live, threads))  # fmt: skip
            if live and reader.sample_rate == CODEC_SAMPLE_RATE:  # another rate's samples come late, and never in step
                reader.wait_for_blocks(stream.call_samples)
        if metadata:
            writer.write_metadata(reader.tags)
        Recorder(writer, stream, live).record(reader, mono, progress)
        summary = writer.finish(reader.samples_read)
        return Result(summary.samples, header.sample_rate, header.channels, summary.file_bytes, summary.payload_bytes,
                      chosen.name, reader.truncated)  # fmt: skip


def _header(
    reader: AudioReader, model: released.ReleasedModel, predictor: Predictor | None, frames: int, mono: bool, live: bool
) -> Header:
    return Header(
        sample_rate=reader.sample_rate,
        channels=1 if mono else reader.channels,
        model_id=model.model_id,
        weights_digest=model.short_digest,
        bits_per_token=model.config.bits_per_token,
        hop_length=model.config.hop_length,
        frames_per_block=frames,
        pre_skip=model.config.look_ahead,
        payload_coding=PREDICTED if predictor else RAW,
        predictor_digest=predictor.digest if predictor else None,
        total_samples=reader.samples_expected,
        compact=live,
        tinted=True,
        band_limited=True,
    )


def decompress(
    source: Source,
    target: Target,
    *,
    format: str | None = None,
    raw: RawFormat | str | None = None,
    subtype: str | None = None,
    start: float = 0.0,
    duration: float | None = None,
    recover: bool = False,
    live: bool = False,
    engine: str = DEFAULT_ENGINE,
    threads: int = 1,
    metadata: bool = True,
    progress: Progress | None = None,
) -> Result:
    """Decodes a ``.hac`` file or stream to exactly the original number of samples, rate and channels.

    With ``live``, audio comes out after every block, where otherwise a second or so is decoded at a time, which is
    faster; and from a pipe, which can't be heard again, damage is got over as with ``recover``, but ends where the pipe
    does. ``threads`` as in ``compress``.
    ``format``, ``raw`` and ``subtype`` are those of ``AudioWriter``: by the target's extension, WAV to a stream.
    ``start`` and ``duration``, in seconds, decode a part: the same samples as of the whole, but for the last bits;
    blocks in front of it are not decoded. With ``recover``, what is damaged is faded out and in, in its full
    length, and told in ``Result.damage`` and ``lost``; where the end is missing, the length is the one announced, if
    any.

    Raises CorruptError at the first damage without ``recover`` or a live pipe, ModelError when the model, its weights
    or its predictor are not those the file was made with, OutputError for what can't be written, UsageError for a start
    behind the end, or a target that is the source.
    """
    refuse_same_file(source, target)
    with ByteSource(source) as file:
        total = _exact_samples(source)
        damages: list[Damage] = []
        heard_once = live and not file.seekable()
        reader = predictors.open_reader(file, damages.append if recover or heard_once else None,
                                        live=heard_once and not recover)  # fmt: skip
        header = reader.header
        chosen = released.find_for_file(header.model_id, header.weights_digest)
        chosen.check_layout(header.bits_per_token, header.tokens_per_frame, header.hop_length, header.pre_skip)
        stream = decoder_stream(header.channels, model=chosen.name, engine=engine,
                                **_pace(header, live, threads))  # fmt: skip
        window = Window.of_seconds(start, duration, header.sample_rate)
        tags = reader.read_metadata() if metadata else None
        with whole(target) as place, AudioWriter(
            place, header.sample_rate, header.channels, format=format, raw=_layout(raw), subtype=subtype,
            samples=window.samples(total), tags=tags,
        ) as writer:  # fmt: skip
            player = Player(reader, damages, stream, live=heard_once and not recover)
            for audio in player.audio(window):
                writer.write(audio)
                if progress:
                    progress(writer.samples_written)
    return Result(writer.samples_written, header.sample_rate, header.channels, reader.bytes_read, reader.payload_bytes,
                  chosen.name, damage=_first_and_last(damages) if player.harmed else "", lost=player.lost,
                  clipped=writer.clipped)  # fmt: skip


def _first_and_last(damages: list[Damage]) -> str:
    """The last may be that there is more behind the end, of which nothing was recovered."""
    return "; ".join(dict.fromkeys(damage.reason for damage in (*damages[:1], *damages[-1:])))


def _exact_samples(source: Source) -> int | None:
    """How long the recording in a file is; None from a pipe. What its header announces may never have come."""
    if not isinstance(source, str | os.PathLike):
        return samples_at_end(source) if is_seekable(source) else None
    if Path(source).is_file():  # whoever opens a pipe takes what is in it
        with contextlib.suppress(OSError), Path(source).open("rb") as file:
            return samples_at_end(file)
    return None


def _layout(raw: RawFormat | str | None) -> RawFormat | None:
    return RawFormat.parse(raw) if isinstance(raw, str) else raw


def _is_file(sink: Target) -> bool:
    return isinstance(sink, str | os.PathLike) or is_seekable(sink)


def _pace(header: Header, live: bool, threads: int) -> dict[str, int]:
    """Live, every block is to be coded at once, and by the thread that waits for it."""
    if live:
        return {"frames_per_call": min(FRAMES_PER_CALL, header.frames_per_block)}
    return {"threads": threads}
