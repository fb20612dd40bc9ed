"""``hac decompress``: a ``.hac`` file back to a recording."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO

import click

from hac_cli.cli import files, signals
from hac_cli.cli.console import FILE, Advance, Console, common_options, count, engine_options, seconds
from hac_cli.cli.recursive import Recursive, recursive_option
from hac_cli.errors import CorruptError

CLIPPED = 1e-3  # of the samples; fewer are a codec's own overshoot, and not heard


@click.command(cls=Recursive)
@click.argument("source", metavar="IN", type=FILE)
@click.argument("target", metavar="[OUT]", type=FILE, required=False)
@click.option("--raw", metavar="RATE:CHANNELS:FORMAT", help="OUT is headerless PCM, such as 24000:1:s16.")
@click.option("--start", type=seconds, default="0", metavar="TIME", help="Begin there, such as 5s, 400ms or 1:02:03.")
@click.option("--duration", type=seconds, metavar="TIME", help="Decode no more than that.")
@click.option("--recover", is_flag=True, help="Decode a damaged file, too: what is lost fades out and in.")
@click.option("--no-metadata", is_flag=True, help="Leave out title, date and the like.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@click.option(
    "--live",
    is_flag=True,
    help="Give out audio after every block, not every second or so; in a pipe, go on after damage.",
)
@recursive_option
@engine_options
@common_options
@click.pass_obj
def decompress(
    console: Console,
    source: str,
    target: str | None,
    raw: str | None,
    start: float,
    duration: float | None,
    recover: bool,
    no_metadata: bool,
    force: bool,
    live: bool,
    engine: str,
    threads: int,
) -> None:
    """Decompress a .hac file.

    OUT is IN with the extension .wav (.raw with --raw), if not given. It gets exactly the samples, sample rate and
    channels of the original, in the format of its extension: .wav, .flac, .ogg, .opus, .mp3, ... - is standard
    input or standard output; pipes get WAV. The rate and channels of --raw must be the recording's, which
    `hac info` tells.

    With --live a stream from standard input that Ctrl-C ends is kept in OUT as far as it came; the exit code is 130.
    One from a pipe that is damaged or breaks off is heard and kept, too, as with --recover, but ends where it broke
    off; one whose beginning was missed is heard from the next copy of its header on. A file, which is still there,
    takes --recover for that.

    With --recover a damaged file gives its full length, too, with silence where it is damaged; the exit code is 5, and
    the places are named.
    """
    plan = files.make_plan(source, target, ".raw" if raw else ".wav", force)
    from hac_cli.audio import RawFormat

    layout = RawFormat.parse(raw) if raw else None
    plan = files.heard_once(plan)
    with (
        signals.ending_input_if(plan.is_piped and live and plan.target is not None),
        plan.named_errors(),
        files.writing(plan.target, force) as sink,
        files.reading(plan.source) as stream,
    ):
        progress_bar = _progress(console, plan.source_name, stream, whole=not start and duration is None,
                                 recover=recover)  # fmt: skip
        from hac_cli import recordings

        with progress_bar as progress:
            started = time.perf_counter()
            result = recordings.decompress(
                stream,
                sink,
                raw=layout,
                start=start,
                duration=duration,
                recover=recover,
                live=live,
                engine=engine,
                threads=threads,
                metadata=not no_metadata,
                progress=progress,
            )
    speed = result.seconds / (time.perf_counter() - started)
    channels = count(result.channels, "channel")
    console.say(
        f"{plan.source_name} -> {plan.target_name}: {result.seconds:.2f} s, {result.sample_rate} Hz, {channels}, "
        f"{speed:.1f}x real time"
    )
    if result.clipped > CLIPPED * result.samples * result.channels:
        console.say(
            f"{plan.target_name}: {100 * result.clipped / result.samples / result.channels:.1f} % of the samples were "
            f"louder than full level, and are clipped; --raw {result.sample_rate}:{result.channels}:f32 keeps them"
        )
    console.detail(f"model {result.model}")
    console.detail_engine(engine)
    if result.shortcoming:
        raise CorruptError(result.shortcoming, plan.source_name)


def _progress(
    console: Console, name: str, stream: BinaryIO, whole: bool, recover: bool
) -> AbstractContextManager[Advance | None]:
    """Looks at the header first, where the stream can be turned back: its errors come before the network is loaded."""
    if not stream.seekable():
        return nullcontext()
    from hac_cli.container import Reader
    from hac_cli.model import released

    start = stream.tell()
    header = Reader(stream, (lambda _: None) if recover else None).header
    released.find_for_file(header.model_id, header.weights_digest)
    stream.seek(start)
    return console.progress(name, header.total_samples if whole else None, header.sample_rate)
