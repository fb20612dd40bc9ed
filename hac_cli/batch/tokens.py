"""Shards: the tokens of many recordings in one file, for training models of speech on them.

A shard holds what the ``.hac`` files would hold: for every recording its path, ``sample_rate``, ``channels``, exact
``samples``, the model with the digest of its weights, tokens ``[channels, frames]`` (one a frame), their digest as in a
``.hac`` file's end block, and ``gains``, what was done to the audio before it was coded, in dB:
``0:12,9 480:15,9`` from frame 0 on and from frame 480 on, for each channel its gain, and behind it its tint and
bandwidth if there are any; an empty text, nothing. So tokens become ``.hac`` files in memory and the other way round,
checked as there.
- ``.npz``: a column each, and the tokens of all recordings one behind the other in ``tokens`` (int32); those of
  recording i are ``tokens[offsets[i] : offsets[i + 1]].reshape(channels[i], -1)``. ``gains`` is one text, a line a
  recording. No pickles.
- ``.parquet``: a row each; ``tokens`` is a list of lists of int32.
- ``.jsonl``: an object a line; ``tokens`` is a list of lists.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio import ByteSource, Source
from hac_cli.container import TINT_TERMS, Header, Reader, Writer
from hac_cli.container.gains import gains_of_text, gains_text
from hac_cli.container.packing import TokenDigest
from hac_cli.errors import CorruptError, HacError, InputError, UsageError
from hac_cli.predictors import open_reader

FACTS = ("path", "sample_rate", "channels", "samples", "model", "weights_digest", "digest", "gains")
NUMBERS = "sample_rate", "channels", "samples"


class Recording(NamedTuple):
    """A recording's tokens, int32 ``[channels, frames]``, and what is known of it."""

    path: str
    sample_rate: int
    channels: int
    samples: int
    model: str
    weights_digest: str
    digest: str
    gains: str
    tokens: NDArray[np.int32]


def read_tokens(source: Source) -> Recording:
    """What a ``.hac`` file, given by its path or as a binary stream, holds.

    Raises InputError if there is none, CorruptError if it is damaged, ModelError if what its tokens are decoded with is
    not installed, UsageError if it has several tokens a frame.
    """
    with ByteSource(source) as file:
        reader = open_reader(file)
        return _from_reader(file.path or "", reader.header.model_name or "", reader)


def from_hac(path: str, model: str, data: bytes) -> Recording:
    """What a ``.hac`` file holds; ``path`` and ``model`` are names to give to it."""
    return _from_reader(path, model, open_reader(io.BytesIO(data)))


def _from_reader(path: str, model: str, reader: Reader) -> Recording:
    header = reader.header
    if header.tokens_per_frame != 1:
        raise UsageError(
            f"has {header.tokens_per_frame} tokens a frame, of a model that is not known here; HAC's have one"
        )
    blocks = [(block.tokens, block.gains) for block in reader]
    tokens = np.concatenate([np.zeros((header.channels, 0, 1), np.int32), *(tokens for tokens, _ in blocks)], axis=1)
    gains = np.concatenate([np.zeros((header.gain_rows, 0), np.int8), *(gains for _, gains in blocks)], axis=1)
    assert reader.summary is not None
    return Recording(path, header.sample_rate, header.channels, reader.summary.samples, model,
                     header.weights_digest.hex(), _digest(tokens), gains_text(gains), tokens[..., 0])  # fmt: skip


def to_hac(recording: Recording) -> bytes:
    """The ``.hac`` file of a recording. Raises CorruptError if its tokens are not those that were written,
    ModelError if their weights are not installed."""
    from hac_cli.model.released import find_for_file, released

    digest, models = bytes.fromhex(recording.weights_digest), released()
    numbers = {model.short_digest: model.model_id for model in models}
    known = {model.name: model.model_id for model in models}
    model = find_for_file(numbers.get(digest, known.get(recording.model, 0xFFFF)), digest)
    tokens = recording.tokens.reshape(recording.channels, -1, 1)
    if _digest(tokens) != recording.digest:
        raise CorruptError("digest mismatch: these are not the tokens that were written")
    gains = gains_of_text(recording.gains, *tokens.shape[:2])
    try:
        header = Header(
            sample_rate=recording.sample_rate,
            channels=recording.channels,
            model_id=model.model_id,
            weights_digest=digest,
            bits_per_token=model.config.bits_per_token,
            hop_length=model.config.hop_length,
            pre_skip=model.config.look_ahead,
            total_samples=recording.samples,
            tinted=len(gains) != recording.channels,
            band_limited=len(gains) == (2 + TINT_TERMS) * recording.channels,
        )
        writer = Writer(sink := io.BytesIO(), header)
        writer.write(tokens, gains)
        writer.finish(recording.samples)
    except UsageError as error:
        raise CorruptError(f"its facts don't fit its tokens: {error.message}") from None
    return sink.getvalue()


def _digest(tokens: NDArray[np.int32]) -> str:
    """The container's digest, over its payload order."""
    digest = TokenDigest()
    digest.update(tokens)
    return digest.digest().hex()


def paths(shard: str) -> list[str]:
    """The recordings of a shard, without their tokens. Raises CorruptError if it is none."""
    return [str(path) for path in _reading(shard, "paths")]


def read(shard: str) -> list[Recording]:
    """All of a shard. Raises CorruptError if it is damaged or no shard."""
    return list(_reading(shard, "recordings"))


def write(shard: str, extension: str, recordings: list[Recording]) -> None:
    """A shard of one of ``SHARD_FORMATS``. OSErrors pass through."""
    _FORMATS[extension].write(shard, recordings)


def check_name(extension: str, name: str) -> None:
    """Raises InputError if the format can't hold such a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        if extension == "parquet":
            raise InputError("its name is not UTF-8, which Parquet demands; rename it, or use --to npz") from None


def check_installed(extension: str) -> None:
    """Raises UsageError if the format needs what is not installed."""
    if extension == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise UsageError("Parquet needs pyarrow; pip install 'hac-cli[parquet]', or use --to npz") from None


def _reading(shard: str, what: str) -> Iterator[Any]:
    extension = Path(shard).suffix.lower().removeprefix(".")
    check_installed(extension)
    try:
        yield from getattr(_FORMATS[extension], what)(shard)
    except (HacError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError("no such file") from None
    except Exception as error:  # three libraries, each with its own
        raise CorruptError("is damaged, or no shard of tokens; make it again") from error


class _Format(NamedTuple):
    write: Callable[[str, list[Recording]], None]
    recordings: Callable[[str], Iterator[Recording]]
    paths: Callable[[str], Iterator[str]]


def _write_npz(shard: str, recordings: list[Recording]) -> None:
    keys = [key for key in FACTS if key != "gains"]
    columns: dict[str, Any] = {key: np.array([getattr(item, key) for item in recordings]) for key in keys}
    # one text, since each of an array takes as much room as the longest, and gains may be long
    columns["gains"] = np.array("\n".join(item.gains for item in recordings))
    flat = [item.tokens.reshape(-1) for item in recordings]
    columns["tokens"] = np.concatenate([np.zeros(0, np.int32), *flat])
    columns["offsets"] = np.cumsum([0, *map(len, flat)], dtype=np.int64)
    with Path(shard).open("wb") as file:
        np.savez(file, **columns)


def _read_npz(shard: str) -> Iterator[Recording]:
    with np.load(shard, allow_pickle=False) as file:
        columns = {key: file[key].tolist() for key in FACTS if key in file}
        if isinstance(columns.get("gains"), str):  # shards of before have a list
            columns["gains"] = columns["gains"].split("\n")
        offsets, tokens = file["offsets"].tolist(), file["tokens"].astype(np.int32)
    for index, facts in enumerate(zip(*columns.values(), strict=True)):
        yield _recording(dict(zip(columns, facts, strict=True)), tokens[offsets[index] : offsets[index + 1]])


def _npz_paths(shard: str) -> Iterator[str]:
    with np.load(shard, allow_pickle=False) as file:
        yield from file["path"].tolist()


def _write_parquet(shard: str, recordings: list[Recording]) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {key: [getattr(item, key) for item in recordings] for key in FACTS}
    token_type = pyarrow.list_(pyarrow.list_(pyarrow.int32()))
    tokens = pyarrow.array([list(item.tokens) for item in recordings], token_type)
    parquet.write_table(pyarrow.table({**columns, "tokens": tokens}), shard)


def _read_parquet(shard: str) -> Iterator[Recording]:
    from pyarrow import parquet

    for row in parquet.read_table(shard).to_pylist():
        yield _recording(row, row["tokens"])


def _parquet_paths(shard: str) -> Iterator[str]:
    from pyarrow import parquet

    yield from parquet.read_table(shard, columns=["path"])["path"].to_pylist()


def _write_jsonl(shard: str, recordings: list[Recording]) -> None:
    with Path(shard).open("w", encoding="ascii") as file:
        for item in recordings:
            facts = {key: getattr(item, key) for key in FACTS}
            file.write(json.dumps({**facts, "tokens": item.tokens.tolist()}) + "\n")


def _read_jsonl(shard: str) -> Iterator[Recording]:
    with Path(shard).open(encoding="ascii") as file:
        for line in file:
            row = json.loads(line)
            yield _recording(row, row["tokens"])


def _jsonl_paths(shard: str) -> Iterator[str]:
    return (recording.path for recording in _read_jsonl(shard))


def _recording(facts: dict[str, Any], tokens: Any) -> Recording:
    """Raises one or the other error for what can't be meant."""
    shaped = np.asarray(tokens, np.int32).reshape(facts["channels"], -1)
    known = {"gains": ""} | {key: facts[key] for key in FACTS if key in facts}  # older shards have none
    if not all(isinstance(known[key], int if key in NUMBERS else str) for key in FACTS):
        raise TypeError
    bytes.fromhex(known["weights_digest"])
    return Recording(**known, tokens=shaped)


_FORMATS = {
    "npz": _Format(_write_npz, _read_npz, _npz_paths),
    "parquet": _Format(_write_parquet, _read_parquet, _parquet_paths),
    "jsonl": _Format(_write_jsonl, _read_jsonl, _jsonl_paths),
}
