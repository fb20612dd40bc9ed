"""``hac compress``: a recording to a ``.hac`` file."""

from __future__ import annotations

import time

import click

from hac_cli.cli import files, signals
from hac_cli.cli.console import (
    FILE,
    Console,
    common_options,
    count,
    effort_options,
    engine_options,
    model_option,
    seconds,
)
from hac_cli.cli.recursive import Recursive, recursive_option
from hac_cli.errors import InputError, UsageError


@click.command(cls=Recursive)
@click.argument("source", metavar="IN", type=FILE)
@click.argument("target", metavar="[OUT]", type=FILE, required=False)
@click.option("--mono", is_flag=True, help="Mix all channels down to one.")
@model_option
@click.option("--payload", type=click.Choice(["coded", "raw"]), default="coded", help="raw: without entropy coding.")
@click.option("--raw", metavar="RATE:CHANNELS:FORMAT", help="IN is headerless PCM, such as 24000:1:s16.")
@click.option("--no-metadata", is_flag=True, help="Leave out title, date and the like.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option("--live", is_flag=True, help="Code every block at once, in blocks of 80 ms unless --block is given.")
@effort_options
@click.option("--block", type=seconds, metavar="TIME",
              help="Audio in a block, such as 40ms; 4s in a file, 2s in a pipe unless told.")  # fmt: skip
@recursive_option
@engine_options
@common_options
@click.pass_obj
def compress(
    console: Console,
    source: str,
    target: str | None,
    mono: bool,
    model: str | None,
    payload: str,
    raw: str | None,
    no_metadata: bool,
    force: bool,
    live: bool,
    effort: str,
    block: float | None,
    engine: str,
    threads: int,
) -> None:
    """Compress a recording.

    OUT is IN with the extension .hac, if not given. IN is anything that libsndfile reads (WAV, FLAC, MP3, Ogg,
    Opus, ...) of 8 to 192 kHz and 1 to 8 channels; each channel is coded on its own. - is standard input or
    standard output. A recording that is cut off is coded as far as it goes, with a warning and exit code 3. Ctrl-C
    ends what is recorded from a pipe or a device, as raw PCM, as WAV of unknown length, or with --live: what was heard
    until then is kept.
    """
    plan = files.make_plan(source, target, ".hac", force)
    from hac_cli.audio import AudioReader, RawFormat
    from hac_cli.model import released

    chosen = released.find(model or released.DEFAULT_MODEL)
    frames_per_block = None if block is None else _frames_in_block(block, chosen.config.frame_rate)
    layout = RawFormat.parse(raw) if raw else None
    plan = files.heard_once(plan)
    with (
        signals.ending_input_if(plan.is_piped and live),
        plan.named_errors(),
        AudioReader(plan.source or files.standard_input(), layout) as reader,
        signals.ending_input_if(plan.is_piped and not live, lambda: reader.open_ended, slow=effort == "best"),
    ):
        channels = count(reader.channels, "channel")
        console.detail(f"{plan.source_name}: {reader.format}, {reader.sample_rate} Hz, {channels}")
        with files.writing(plan.target, force) as sink:
            from hac_cli import recordings

            with console.progress(plan.source_name, reader.samples_expected, reader.sample_rate) as progress:
                started = time.perf_counter()
                result = recordings.compress(
                    reader,
                    sink,
                    model=chosen.name,
                    mono=mono,
                    payload=payload,
                    live=live,
                    effort=effort,
                    frames_per_block=frames_per_block,
                    engine=engine,
                    threads=threads,
                    metadata=not no_metadata,
                    progress=progress,
                )
            if layout and plan.is_piped and not result.samples:  # whatever should have written to it has failed
                raise InputError("has no content (0 bytes); see whether what records it runs")
    speed = result.seconds / (time.perf_counter() - started)
    console.say(
        f"{plan.source_name} -> {plan.target_name}: {result.seconds:.2f} s, {result.file_bytes} bytes, "
        f"{result.bitrate / 1000:.3f} kbit/s, {speed:.1f}x real time"
    )
    console.detail(f"model {result.model}, payload {result.payload_bitrate / 1000:.3f} kbit/s")
    console.detail_engine(engine)
    if result.shortcoming:
        raise InputError(result.shortcoming, plan.source_name)


def _frames_in_block(seconds: float, frame_rate: float) -> int:
    from hac_cli.container.header import MAX_FRAMES_PER_BLOCK

    if not seconds:
        raise UsageError("--block is above 0, such as 40ms")
    frames = max(1, round(seconds * frame_rate))
    if frames > MAX_FRAMES_PER_BLOCK:
        raise UsageError(f"--block is at most {int(MAX_FRAMES_PER_BLOCK / frame_rate)}s")
    return frames
