"""Headerless PCM, in and out."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import read_all, speechlike

from hac_cli.audio import AudioReader, AudioWriter, RawFormat
from hac_cli.errors import InputError


def test_raw_pcm(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(struct.pack(">6h", 0, 16384, -16384, -32768, 32767, 8192))
    raw = RawFormat.parse("8000:2:s16be")
    for source in (path, io.BytesIO(path.read_bytes())):
        reader = AudioReader(source, raw=raw)
        assert (reader.sample_rate, reader.channels, reader.format) == (8000, 2, "raw")
        assert reader.samples_expected == (3 if source is path else None)
        assert read_all(reader).tolist() == [[0, -0.5, 32767 / 32768], [0.5, -1, 0.25]]
        assert reader.truncated is None


@pytest.mark.parametrize(
    "text", ["8000:1:u8", "8000:1:s16", "8000:2:s24le", "8000:3:s24be", "8000:1:s32be", "8000:2:f32"]
)
def test_raw_pcm_there_and_back(tmp_path: Path, text: str) -> None:
    raw = RawFormat.parse(text)
    audio = speechlike(raw.channels, 0.2, 8000)
    path = tmp_path / "a.wav"  # the name does not matter
    with AudioWriter(path, 8000, raw.channels, raw=raw) as writer:
        writer.write(audio)
    assert path.stat().st_size == audio.size * raw.sample_format.bytes_per_sample
    np.testing.assert_allclose(read_all(AudioReader(path, raw=raw)), audio, atol=2**-7 if "u8" in text else 2**-15)


def test_raw_pcm_that_ends_within_a_sample_tells_and_empty_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(8003))
    reader = AudioReader(path, raw=RawFormat(8000, 2))
    assert reader.samples_expected == 2000 and read_all(reader).shape == (2, 2000)
    assert reader.truncated == "ends in the middle of a sample after 0.25 s"
    path.write_bytes(b"")
    reader = AudioReader(path, raw=RawFormat(8000, 2))
    assert read_all(reader).shape == (2, 0) and reader.truncated is None


class InPieces(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def readable(self) -> bool:
        return True

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        piece, self.content = self.content[:5], self.content[5:]
        room[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("format", ["WAV", "RF64", "FLAC", "AIFF", "CAF", "OGG", "AU"])
def test_a_header_is_no_sound(format: str) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, speechlike(1, 0.2).T, 8000, format=format)
    for source in (io.BytesIO(stream.getvalue()), InPieces(stream.getvalue())):
        with pytest.raises(InputError, match="leave out --raw"):
            read_all(AudioReader(source, raw=RawFormat.parse("8000:1:s16")))


def test_a_hac_file_is_no_sound() -> None:
    with pytest.raises(InputError, match="leave out --raw"):
        read_all(AudioReader(io.BytesIO(b"\x89HAC" + bytes(100)), raw=RawFormat.parse("8000:1:s16")))


def test_raw_pcm_that_is_cut_off_meanwhile_tells(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(2 * 240_000))
    reader = AudioReader(path, raw=RawFormat(24_000, 1))
    blocks = iter(reader)
    next(blocks)
    with path.open("rb+") as file:
        file.truncate(2 * 120_000)
    assert sum(block.shape[1] for block in blocks) < 120_000
    assert reader.truncated == "ends after 5.00 s of 10.00 s that were there before"
