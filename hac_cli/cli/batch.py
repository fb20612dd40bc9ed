"""``hac batch``: a folder of recordings to a folder of ``.hac`` files or of tokens, and back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hac_cli.cli.console import FILE, Command, Console, common_options, effort_options, model_option
from hac_cli.cli.names import names_in
from hac_cli.cores import cores
from hac_cli.errors import HacError, InputError, UsageError

if TYPE_CHECKING:
    from hac_cli.batch.job import Settings

SHARD_MEGABYTES = 256


@click.group(no_args_is_help=True)
def batch() -> None:
    """Compress or decompress all recordings of a folder.

    Folders may be on disks, or URLs that fsspec knows: s3://, gs://, sftp://.
    """


def batch_options(command: Command) -> Command:
    """What both directions have in common."""
    options: list[Callable[[Command], Command]] = [
        click.argument("source", metavar="SRC"),
        click.argument("target", metavar="DST"),
        click.option("-j", "--jobs", "workers", metavar="N", type=click.IntRange(min=1),
                     help="Worker processes; as many as cores if not given."),
        click.option("--include", metavar="GLOB", multiple=True,
                     help="Only these, such as '*.wav' or 'talks/*'; may be repeated."),
        click.option("--exclude", metavar="GLOB", multiple=True, help="Not these files or folders; may be repeated."),
        click.option("--files-from", metavar="FILE", type=FILE,
                     help="Only the files of SRC that stand in FILE, one a line; - is standard input."),
        click.option("-0", "--null", is_flag=True, help="Names in --files-from end in a zero byte, not in a new line."),
        click.option("--no-metadata", is_flag=True, help="Leave out title, date and the like."),
        click.option("-f", "--force", is_flag=True, help="Overwrite outputs that are not of this batch."),
        click.option("--skip-existing", is_flag=True, help="Leave outputs that are not of this batch as they are."),
        click.option("--hash", "hash_inputs", is_flag=True,
                     help="Tell changed inputs by their content, not by size and time."),
        click.option("--manifest", metavar="FILE", type=click.Path(path_type=Path),
                     help="Where to note what was done; DST/hac-batch.jsonl if not given."),
        click.option("--cluster", metavar="ADDRESS", help="Work on a Dask cluster, such as tcp://10.0.0.1:8786."),
        click.option("-n", "--dry-run", is_flag=True, help="Only tell what would be done."),
        click.option("--json", "as_json", is_flag=True, help="Tell what happens as JSON objects, one a line."),
        common_options,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@batch.command("compress")
@model_option
@click.option("--mono", is_flag=True, help="Mix all channels down to one.")
@effort_options
@click.option("--to", "shard_format", type=click.Choice(["npz", "parquet", "jsonl"]),
              help="Write tokens in shards, for machine learning, and not .hac files; without tags.")  # fmt: skip
@click.option("--shard-size", "shard_megabytes", metavar="MB", type=click.IntRange(min=1),
              help=f"How many megabytes of input go to a shard, at most; {SHARD_MEGABYTES} if not given.")  # fmt: skip
@batch_options
@click.pass_obj
def batch_compress(
    console: Console,
    /,
    model: str | None,
    mono: bool,
    effort: str,
    shard_format: str | None,
    shard_megabytes: int | None,
    **options: Any,
) -> None:
    """Compress the recordings of SRC into DST.

    DST gets the folders of SRC, with talk.hac for talk.wav. What a manifest in DST says was done, and hasn't changed
    since, isn't done again: after an interruption the same command goes on where it was. Recordings that fail are
    listed at the end; the exit code is then 1.

    Without --include and --files-from, files are recordings by their extensions.
    """
    if shard_megabytes and not shard_format:
        raise UsageError("--shard-size is for shards; say --to npz, parquet or jsonl")
    settings = _settings("compress", model, options, mono=mono, effort=effort, shard_format=shard_format)
    _run(console, settings, shard_megabytes or SHARD_MEGABYTES, **options)


@batch.command("decompress")
@click.option("--format", "extension", metavar="EXT", default="wav", show_default=True,
              help="What to write, by extension: wav, flac, ogg, opus, mp3, ...")  # fmt: skip
@click.option("--recover", is_flag=True, help="Decode damaged files, too: what is lost fades out and in.")
@batch_options
@click.pass_obj
def batch_decompress(console: Console, /, extension: str, recover: bool, **options: Any) -> None:
    """Decompress the .hac files and shards of tokens of SRC into DST.

    DST gets the folders of SRC, with talk.wav for talk.hac; recordings in shards get the folders that they came from,
    and --exclude is for them, too. With --recover damaged files are decoded in their full length, too, and listed at
    the end with what is lost. All else is as in `hac batch compress`.
    """
    extension = f".{extension.lower().removeprefix('.')}"
    settings = _settings("decompress", None, options, extension=extension, recover=recover)
    _run(console, settings, SHARD_MEGABYTES, **options)


def _settings(command: str, model: str | None, options: dict[str, Any], **more: Any) -> Settings:
    from hac_cli.audio.formats import choose_format
    from hac_cli.batch import tokens, work
    from hac_cli.batch.job import Settings
    from hac_cli.model import released

    if shard_format := more.get("shard_format"):
        tokens.check_installed(shard_format)
    if extension := more.get("extension"):
        choose_format(extension, None, 24_000, 1)
    chosen = released.find(model or released.DEFAULT_MODEL)
    version, digest = work.identity(chosen.name)
    return Settings(
        command,
        source=_absolute(options.pop("source")),
        target=_absolute(options.pop("target")),
        version=version,
        model=chosen.name,
        weights_digest=digest,
        metadata=not options.pop("no_metadata"),
        hash_inputs=options.pop("hash_inputs"),
        **more,
    )


def _absolute(location: str) -> str:
    """Workers, and those of other machines, may have another current folder."""
    if location == "-":
        raise UsageError("a batch goes from folder to folder, and - is a pipe; ./- is a folder of that name")
    try:
        return location if "://" in location else os.path.abspath(location)  # noqa: PTH100  keeps links
    except FileNotFoundError:
        raise InputError("the folder that you are in was deleted; change to another", location) from None


def _run(
    console: Console,
    settings: Settings,
    shard_megabytes: int,
    *,
    workers: int | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    files_from: str | None,
    null: bool,
    force: bool,
    skip_existing: bool,
    manifest: Path | None,
    cluster: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    from hac_cli.batch import manifest as manifests
    from hac_cli.batch import plan, run
    from hac_cli.batch.selection import Selection
    from hac_cli.batch.storage import open_folder
    from hac_cli.cli.batch_report import Report

    if force and skip_existing:
        raise UsageError("--force and --skip-existing say the opposite; leave one out")
    if null and not files_from:
        raise UsageError("-0 is for names of --files-from; without it, leave it out")
    open_folder(settings.source).check()  # before anything is made in DST
    if Path(settings.target).is_file():
        raise UsageError("is a file; name a folder for the outputs", settings.target)
    existing = plan.OVERWRITE if force else plan.SKIP if skip_existing else plan.REFUSE
    path = manifest or _default_manifest(settings.target)
    report = Report(console, settings, as_json)
    if not cluster:  # whose machines have engines of their own
        console.detail_engine("numpy")
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(names_in(files_from, null)) if files_from else None
        journal = None if dry_run else stack.enter_context(manifests.Manifest(path))
        pool = _pool(settings, workers, cluster)
        with report.planning():
            planned = run.make_plan(settings, Selection(include, exclude, names), manifests.read(path), existing,
                                    shard_megabytes << 20, pool.workers, inside=manifest is None)  # fmt: skip
        stack.callback(planned.plan.close)
        report.planned(planned)
        if journal is None:
            report.show_jobs(planned)
        else:
            with report.working(planned.counts):
                summary = run.carry_out(planned, settings, journal, pool, report.outcomes)
            report.finished(summary, path)
    if report.failed:
        raise click.exceptions.Exit(HacError.exit_code)


def _default_manifest(target: str) -> Path:
    from hac_cli.batch import manifest

    if "://" in target:
        raise UsageError("a manifest can't be appended to there; name a file on this machine with --manifest", target)
    return Path(target, manifest.NAME)


def _pool(settings: Settings, workers: int | None, cluster: str | None) -> Any:
    if cluster:
        from hac_cli.batch.cluster import ClusterPool

        return ClusterPool(settings, cluster)
    from hac_cli.batch.pool import LocalPool

    return LocalPool(settings, workers or cores())
