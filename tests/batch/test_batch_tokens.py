"""Shards of tokens: what goes in comes out, damage is noticed, and no name can lead out of a folder."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest

from hac_cli.batch import tokens
from hac_cli.container import Header, Writer
from hac_cli.errors import CorruptError, InputError, ModelError, UsageError
from hac_cli.model import released

FORMATS = ["npz", "parquet", "jsonl"]


def coded(channels: int = 1, frames: int = 100, samples: int = 21_000, **facts) -> bytes:
    """A ``.hac`` file of tokens that mean nothing."""
    model = released.find(released.DEFAULT_MODEL)
    values = {"model_id": model.model_id, "weights_digest": model.short_digest, "pre_skip": model.config.look_ahead}
    sink = io.BytesIO()
    writer = Writer(sink, Header(16_000, channels, **(values | {"total_samples": samples} | facts)))
    gains = np.arange(frames, dtype=np.int8) // 30 - np.ones((channels, 1), np.int8)
    writer.write(np.random.default_rng(frames).integers(0, 1 << 18, (channels, frames, 1)), gains)
    writer.finish(samples)
    return sink.getvalue()


@pytest.fixture
def files() -> dict[str, bytes]:
    return {"one.wav": coded(), "sub/new\nline 🎙.wav": coded(2, 7, 1_400), "empty.wav": coded(1, 0, 0)}


@pytest.mark.parametrize("extension", FORMATS)
def test_there_and_back(extension, files, tmp_path):
    path = str(tmp_path / f"shard.{extension}")
    tokens.write(path, extension, [tokens.from_hac(name, "v2", data) for name, data in files.items()])
    assert tokens.paths(path) == list(files)
    assert {recording.path: tokens.to_hac(recording) for recording in tokens.read(path)} == files


@pytest.mark.parametrize("extension", FORMATS)
def test_one_text_that_is_long_makes_no_room_for_others(extension, tmp_path):
    path = tmp_path / f"shard.{extension}"
    short = tokens.from_hac("a.wav", "v2", coded(1, 1, 1))
    long = short._replace(gains=" ".join(f"{frame}:{frame % 9}" for frame in range(2_000)))
    tokens.write(str(path), extension, [long, *[short] * 500])
    assert path.stat().st_size < 400_000
    assert [recording.gains for recording in tokens.read(str(path))] == [long.gains, *[short.gains] * 500]


def test_shards_with_a_column_of_gains_are_read(files, tmp_path):
    recordings = [tokens.from_hac(name, "v2", data) for name, data in files.items()]
    tokens.write(str(tmp_path / "new.npz"), "npz", recordings)
    with np.load(tmp_path / "new.npz") as columns:
        np.savez(tmp_path / "old.npz", **{**columns, "gains": np.array([item.gains for item in recordings])})
    assert {item.path: tokens.to_hac(item) for item in tokens.read(str(tmp_path / "old.npz"))} == files


def test_several_tokens_a_frame_are_refused():
    sink = io.BytesIO()
    writer = Writer(sink, Header(24_000, 1, model_id=77, weights_digest=bytes(8), pre_skip=0, tokens_per_frame=2))
    writer.write(np.zeros((1, 5, 2), np.int32))
    writer.finish(0)
    with pytest.raises(UsageError, match="2 tokens a frame"):
        tokens.read_tokens(io.BytesIO(sink.getvalue()))


@pytest.mark.parametrize("extension", FORMATS)
def test_names_that_are_no_text(extension, tmp_path):
    path, name = str(tmp_path / f"shard.{extension}"), os.fsdecode(b"\xff.wav")
    if extension == "parquet":
        with pytest.raises(InputError, match="not UTF-8"):
            tokens.check_name(extension, name)
        return
    tokens.check_name(extension, name)
    tokens.write(path, extension, [tokens.from_hac(name, "v2", coded())])
    assert tokens.paths(path) == [name]


@pytest.mark.parametrize("extension", FORMATS)
def test_damage(extension, files, tmp_path):
    path = tmp_path / f"shard.{extension}"
    recordings = [tokens.from_hac(name, "v2", data) for name, data in files.items()]
    tokens.write(str(path), extension, recordings)
    whole = path.read_bytes()
    for content in (b"", b"This is no shard.\n", whole[: len(whole) // 2]):
        path.write_bytes(content)
        if extension == "jsonl" and not content:
            assert tokens.read(str(path)) == []
            continue
        with pytest.raises(CorruptError):
            tokens.read(str(path))


@pytest.mark.parametrize(
    "facts",
    [{"weights_digest": "x" * 16}, {"weights_digest": None}, {"samples": 1.5}, {"model": []},
     {"sample_rate": "24000"}, {"sample_rate": 24000.0}, {"channels": 0}, {"gains": 3}, {"digest": None}],
)  # fmt: skip
def test_facts_of_another_kind(facts, tmp_path):
    path = tmp_path / "shard.jsonl"
    tokens.write(str(path), "jsonl", [tokens.from_hac("one.wav", "v2", coded())])
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    with pytest.raises(CorruptError):
        tokens.to_hac(*tokens.read(str(path)))


def test_tokens_that_are_not_those_written():
    recording = tokens.from_hac("one.wav", "v2", coded())
    changed = recording.tokens.copy()
    changed[0, 50] ^= 1
    with pytest.raises(CorruptError, match="digest mismatch"):
        tokens.to_hac(recording._replace(tokens=changed))
    with pytest.raises(CorruptError, match="facts don't fit"):
        tokens.to_hac(recording._replace(samples=10**6))
    with pytest.raises(ModelError, match="other weights"):
        tokens.to_hac(recording._replace(weights_digest="00" * 8))
