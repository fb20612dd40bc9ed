"""Title, date and the like, from any format that has them into a ``.hac`` file and out again."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hac_cli
from hac_cli.audio import AudioReader, AudioWriter
from hac_cli.container import verify
from hac_cli.container.metadata import MAX_SIZE, pack_metadata, unpack_metadata

TAGS = {"title": "Küchengespräch", "artist": "Ada", "date": "1843-07-10", "comment": "a = b; c"}


def record(path: Path) -> Path:
    with soundfile.SoundFile(path, "w", 24_000, 1) as file:
        for key, value in TAGS.items():
            setattr(file, key, value)
        file.write(np.zeros(3_000))
    return path


@pytest.mark.parametrize("source", ["talk.wav", "talk.flac", "talk.ogg"])
def test_tags_come_through(source, tmp_path):
    hac_cli.compress(record(tmp_path / source), tmp_path / "talk.hac")
    with (tmp_path / "talk.hac").open("rb") as file:
        assert verify(file).metadata == TAGS
    for name in ("again.wav", "again.flac", "again.ogg"):
        hac_cli.decompress(tmp_path / "talk.hac", tmp_path / name)
        with soundfile.SoundFile(tmp_path / name) as file:
            assert {key: getattr(file, key) for key in TAGS} == TAGS
            assert file.frames == 3_000
        with AudioReader(tmp_path / name) as reader:
            assert reader.tags == TAGS


def test_mp3_has_no_garbled_tags(tmp_path):
    with AudioWriter(tmp_path / "a.mp3", 24_000, 1, tags={"title": "Grüße", "artist": "Ann"}) as writer:
        writer.write(np.zeros((1, 24_000), np.float32))
    assert AudioReader(tmp_path / "a.mp3").tags == {"artist": "Ann"}


def test_tags_behind_the_samples(tmp_path):
    """Where Audacity and others write them."""
    whole = record(tmp_path / "talk.wav").read_bytes()
    start, size = whole.index(b"LIST"), int.from_bytes(whole[whole.index(b"LIST") + 4 :][:4], "little") + 8
    moved = whole[:start] + whole[start + size :] + whole[start : start + size]
    (tmp_path / "talk.wav").write_bytes(moved + b"junk")
    with AudioReader(tmp_path / "talk.wav") as reader:
        assert reader.tags == TAGS
        assert sum(block.shape[1] for block in reader) == 3_000


def test_tags_through_pipes_and_left_out(tmp_path):
    path = record(tmp_path / "talk.wav")
    hac, wav = io.BytesIO(), io.BytesIO()
    with path.open("rb") as stream:
        hac_cli.compress(stream, hac)
    hac.seek(0)
    hac_cli.decompress(hac, wav)
    wav.seek(0)
    assert AudioReader(wav).tags == TAGS
    hac.seek(0)
    hac_cli.decompress(hac, tmp_path / "none.wav", metadata=False)
    assert AudioReader(tmp_path / "none.wav").tags == {}
    hac_cli.compress(path, tmp_path / "none.hac", metadata=False)
    with (tmp_path / "none.hac").open("rb") as file:
        assert verify(file).metadata == {}


def test_whatever_stands_in_a_block_is_no_reason_to_fail():
    assert unpack_metadata(b"\xff=x\0=y\0no\0Title=a\0title=b\0\0t=\xfe") == {"title": "a", "t": "\ufffd"}
    assert pack_metadata({"TITLE": " a\0b ", "bad=key": "x", "empty": ""}) == b"title=a b\0"
    assert pack_metadata({"a": "x" * MAX_SIZE, "b": "y"}) == b"b=y\0"
