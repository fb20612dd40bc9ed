"""``hac decompress``: a ``.hac`` file back to a recording."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO

import click

from hac_cli.cli import files
from hac_cli.cli.batch import batch_decompress
from hac_cli.cli.console import Advance, Console, common_options, count
from hac_cli.cli.recursive import recursive, recursive_option


@click.command(cls=recursive(batch_decompress))
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("target", metavar="[OUT]", type=click.Path(), required=False)
@click.option("--raw", metavar="RATE:CHANNELS:FORMAT", help="OUT is headerless PCM, such as 24000:1:s16.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@recursive_option
@common_options
@click.pass_obj
def decompress(console: Console, source: str, target: str | None, raw: str | None, force: bool) -> None:
    """Decompress a .hac file.

    OUT is IN with the extension .wav (.raw with --raw), if not given. It gets exactly the samples, sample rate and
    channels of the original, in the format of its extension: .wav, .flac, .ogg, .opus, .mp3, ... - is standard
    input or standard output; pipes get WAV. The rate and channels of --raw must be the recording's, which
    `hac info` tells.
    """
    plan = files.make_plan(source, target, ".raw" if raw else ".wav", force)
    from hac_cli.audio import RawFormat

    layout = RawFormat.parse(raw) if raw else None
    with plan.named_errors(), files.writing(plan.target) as sink, files.reading(plan.source) as stream:
        progress_bar = _progress(console, plan.source_name, stream)
        from hac_cli import codec

        with progress_bar as progress:
            started = time.perf_counter()
            result = codec.decompress(stream, sink, raw=layout, progress=progress)
    speed = result.seconds / (time.perf_counter() - started)
    channels = count(result.channels, "channel")
    console.say(
        f"{plan.source_name} -> {plan.target_name}: {result.seconds:.2f} s, {result.sample_rate} Hz, {channels}, "
        f"from {result.bitrate / 1000:.3f} kbit/s, {speed:.1f}x real time"
    )
    console.detail(f"model {result.model}, payload {result.payload_bitrate / 1000:.3f} kbit/s")


def _progress(console: Console, name: str, stream: BinaryIO) -> AbstractContextManager[Advance | None]:
    """Looks at the header first, where the stream can be turned back; so its errors need not wait for torch."""
    if not stream.seekable():
        return nullcontext()
    from hac_cli.container import Reader
    from hac_cli.model import released

    start = stream.tell()
    header = Reader(stream).header
    released.find_for_file(header.model_id, header.weights_digest)
    stream.seek(start)
    return console.progress(name, header.total_samples, header.sample_rate)
