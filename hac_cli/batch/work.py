"""What a worker does for one job. Runs in any process: on this machine, or on one of a cluster."""

from __future__ import annotations

import functools
import io
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hac_cli.batch.job import COMPRESS, EXISTS, Item, Job, Outcome, Settings
from hac_cli.batch.storage import DISK_FULL, Folder, is_disk_full, open_folder, sha256
from hac_cli.errors import CorruptError, HacError, InputError, OutputError, UsageError

if TYPE_CHECKING:
    from hac_cli import Result
    from hac_cli.batch.tokens import Recording

Facts = dict[str, Any]
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def use_one_thread() -> None:
    """Workers are as many as cores. To be called before libraries that compute are loaded, which look only then."""
    for variable in _ONE_THREAD:
        os.environ.setdefault(variable, "1")


@functools.cache
def identity(model: str) -> tuple[str, str]:
    """The version of HAC in this process, and the digest of a model's weights. Raises ModelError without them."""
    import hac_cli
    from hac_cli.model.released import find

    return hac_cli.__version__, find(model).digest


def check_identity(settings: Settings) -> None:
    """Raises UsageError if this process isn't of the version that planned: its outputs would differ."""
    version, digest = identity(settings.model)
    if (version, digest) != (settings.version, settings.weights_digest):
        raise UsageError(
            f"a worker has hac-cli {version} with weights {digest[:16]}, this is {settings.version} with "
            f"{settings.weights_digest[:16]}; install the same on every machine"
        )


def prepare(settings: Settings) -> None:
    """Loads what every job needs. Raises UsageError in a process of another version, ModelError without weights."""
    use_one_thread()
    check_identity(settings)
    from hac_cli import load_model

    load_model(settings.model)


def work(job: Job, settings: Settings) -> list[Outcome]:
    """Does a job; what fails is told by the outcomes. Raises UsageError in a process of another version."""
    check_identity(settings)
    source, target = open_folder(settings.source), open_folder(settings.target)
    if settings.command == COMPRESS and settings.shard_format:
        return _make_shard(job, settings, source, target)
    if job.items[0].member is not None:
        return _open_shard(job, settings, source, target)
    (item,) = job.items
    outcome = _attempt(item, lambda: _code(item, settings, source, target))
    return [outcome]


def _attempt(item: Item, act: Callable[[], Facts]) -> Outcome:
    """Runs ``act``, which returns fields of the outcome; what it raises is the outcome's error."""
    started = time.perf_counter()
    outcome = Outcome(item.name, item.target, item.member, item.size, item.stamp)
    try:
        outcome = replace(outcome, **act())
    except Exception as error:
        fault = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; this is a fault in hac"
        told = error if isinstance(error, HacError) else HacError(fault)
        if full := is_disk_full(error):
            told = OutputError(DISK_FULL)
        outcome = replace(outcome, error=told.message, exit_code=told.exit_code, disk_full=full)
    return replace(outcome, took=round(time.perf_counter() - started, 6))


# -- one file to one file ---------------------------------------------------------------------------------------


def _code(item: Item, settings: Settings, source: Folder, target: Folder) -> Facts:
    from hac_cli import compress, decompress
    from hac_cli.audio import refuse_same_file

    with source.reading(item.name) as path:
        facts = _input_digest(path, item, settings)
        if facts.get("unchanged"):
            return {**facts, "output_bytes": _size(target, item.target)}
        refuse_same_file(path, os.path.join(target.location, item.target))  # noqa: PTH118
        with target.writing(item.target, item.free) as temporary:
            if settings.command == COMPRESS:
                result = compress(path, temporary, **_coding(settings))
            else:
                result = decompress(path, temporary, **_decoding(settings))
            _keep_whole(item, result)
            return {**facts, **_facts(result), **_output(item, target, temporary)}


def _keep_whole(item: Item, result: Result) -> None:
    """Raises HacError where a part of a recording would take the place of all of it."""
    if item.whole and (lack := result.warning or result.damage):
        kind = CorruptError if result.damage else InputError
        raise kind(f"{lack}; {item.target} of before, which is whole, is kept: to replace it, use -f")


def _coding(settings: Settings) -> dict[str, Any]:
    return {"model": settings.model, "mono": settings.mono, "effort": settings.effort, "metadata": settings.metadata}


def _decoding(settings: Settings) -> dict[str, Any]:
    return {"format": settings.extension, "recover": settings.recover, "metadata": settings.metadata}


def _facts(result: Result) -> Facts:
    """A damaged input fails whatever could be recovered of it: neither is it done, nor does a later run think so."""
    told: Facts = {"warning": result.shortcoming}
    if result.damage:
        told = {"error": result.shortcoming, "exit_code": CorruptError.exit_code}
    return {
        "seconds": round(result.seconds, 6),
        "sample_rate": result.sample_rate,
        "channels": result.channels,
        "bitrate": round(result.bitrate, 3),
        **told,
    }


def _output(item: Item, target: Folder, path: str) -> Facts:
    """Of an output that is complete. Raises OutputError where another file has its name, which may be anybody's."""
    digest = sha256(path)
    if item.unsure and target.digest(item.target) not in (digest, None):
        raise OutputError(EXISTS.format(item.target))
    return {"output_bytes": Path(path).stat().st_size, "digest": digest}


def _input_digest(path: str, item: Item, settings: Settings) -> Facts:
    if not settings.hash_inputs:
        return {}
    digest = sha256(path)
    return {"input_digest": digest, "unchanged": digest == item.digest}


def _size(folder: Folder, name: str) -> int:
    entry = folder.find(name)
    return entry.size if entry else 0


# -- many files to a shard --------------------------------------------------------------------------------------


def _make_shard(job: Job, settings: Settings, source: Folder, target: Folder) -> list[Outcome]:
    """Writes the tokens of all items that can be read; recordings of an earlier run stay in the shard."""
    from hac_cli.batch import tokens

    name, extension = job.items[0].target, str(settings.shard_format)
    made: dict[str, Recording] = {}
    try:
        if target.find(name):
            with target.reading(name) as path:
                made = {recording.path: recording for recording in tokens.read(path)}
    except HacError as error:
        reason = f"the shard {name} that it belongs to can't be read: {error.message}"
        return [Outcome.failed(item, reason, error.exit_code) for item in job.items]

    def encode(item: Item) -> Facts:
        tokens.check_name(extension, item.name)
        with source.reading(item.name) as path:
            facts = _input_digest(path, item, settings)
            if facts.get("unchanged") and item.name in made:
                return facts
            from hac_cli import compress

            sink = io.BytesIO()
            result = compress(path, sink, **_coding(settings))
            _keep_whole(item, result)
            made[item.name] = tokens.from_hac(item.name, result.model, sink.getvalue())
            return {**facts, "unchanged": False, **_facts(result)}

    outcomes = [_attempt(item, lambda item=item: encode(item)) for item in job.items]  # type: ignore[misc]
    if all(outcome.unchanged or outcome.error for outcome in outcomes):  # what was there stays
        return [replace(outcome, output_bytes=_size(target, name)) for outcome in outcomes]
    return _write_shard(outcomes, name, extension, target, list(made.values()))


def _write_shard(
    outcomes: list[Outcome], name: str, extension: str, target: Folder, recordings: list[Recording]
) -> list[Outcome]:
    from hac_cli.batch import tokens

    def write() -> Facts:
        with target.writing(name) as temporary:
            tokens.write(temporary, extension, recordings)
            return _output(shard, target, temporary)

    shard = Item(name, name, 0, "")
    written = _attempt(shard, write)
    if written.error:
        failure = {"error": written.error, "exit_code": written.exit_code, "disk_full": written.disk_full}
        return [outcome if outcome.error else replace(outcome, **failure) for outcome in outcomes]  # type: ignore[arg-type]
    return [replace(outcome, output_bytes=written.output_bytes, digest=written.digest) for outcome in outcomes]


# -- a shard to many files --------------------------------------------------------------------------------------


def _open_shard(job: Job, settings: Settings, source: Folder, target: Folder) -> list[Outcome]:
    from hac_cli import decompress
    from hac_cli.batch import tokens

    try:
        with source.reading(job.items[0].name) as path:
            hashed = _input_digest(path, job.items[0], settings)
            recordings: dict[str, Recording] = {}
            for recording in tokens.read(path):
                recordings.setdefault(recording.path, recording)
    except HacError as error:
        reason = f"the shard {job.items[0].name} that it is in {error.message}"
        return [Outcome.failed(item, reason, error.exit_code) for item in job.items]

    def decode(item: Item) -> Facts:
        facts = {**hashed, "unchanged": bool(hashed) and hashed["input_digest"] == item.digest}
        if facts["unchanged"]:
            return {**facts, "output_bytes": _size(target, item.target)}
        data = io.BytesIO(tokens.to_hac(recordings[str(item.member)]))
        with target.writing(item.target, item.free) as temporary:
            result = decompress(data, temporary, **_decoding(settings))
            _keep_whole(item, result)
            return {**facts, **_facts(result), **_output(item, target, temporary)}

    return [_attempt(item, lambda item=item: decode(item)) for item in job.items]  # type: ignore[misc]
