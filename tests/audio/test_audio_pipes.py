"""Real pipes: live blocks, formats that need a file, readers that go away."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hac_cli.audio import AudioReader, AudioWriter, RawFormat
from hac_cli.audio.formats import UNCHECKED
from hac_cli.errors import InputError, OutputError, UsageError

SAMPLE_RATE = 24000
AUDIO = (0.5 * np.sin(np.arange(3 * SAMPLE_RATE) * 0.05) * np.ones((2, 1))).astype(np.float32)


@contextlib.contextmanager
def pipe() -> Iterator[tuple[io.BufferedReader, io.FileIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb", buffering=0) as writer:
        yield reader, writer


def feed(writer: io.FileIO, content: bytes) -> threading.Thread:
    def run() -> None:
        with writer:
            rest = memoryview(content)
            while rest:
                rest = rest[writer.write(rest) :]

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def stored(path: Path, audio: np.ndarray = AUDIO) -> bytes:
    with AudioWriter(path, SAMPLE_RATE, len(audio)) as writer:
        writer.write(audio)
    return path.read_bytes()


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "ogg", "opus"])
def test_a_pipe_gives_what_the_file_gives(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    content = stored(path)
    with AudioReader(path) as reader:
        expected = np.concatenate(list(reader), axis=1)
    with pipe() as (reading, writing):
        thread = feed(writing, content)
        with AudioReader(reading) as reader:
            result = np.concatenate(list(reader), axis=1)
        thread.join()
    np.testing.assert_array_equal(result, expected)
    assert reader.truncated is None


KINDS = [
    (format, endian)
    for format in sorted(soundfile.available_formats().keys() - {"RAW", "SD2"})  # no file tells that it is one of these
    for endian in ("FILE", "LITTLE", "BIG")
    if soundfile.check_format(format, soundfile.default_subtype(format), endian)
]


@pytest.mark.parametrize("format", sorted((UNCHECKED - {"SD2"}) & soundfile.available_formats().keys()))
def test_formats_of_which_a_part_looks_whole_are_refused(format: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    soundfile.write(path, AUDIO[0, :3000], 8_000, format=format)
    with pytest.raises(InputError, match="of which can't be told whether it is whole; convert it to WAV"):
        AudioReader(path)
    with pytest.raises(InputError, match="convert it"):
        AudioReader(io.BytesIO(path.read_bytes()))


@pytest.mark.parametrize(("format", "endian"), [kind for kind in KINDS if kind[0] not in UNCHECKED])
def test_every_other_format_of_libsndfile_comes_through_a_pipe(format: str, endian: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    rate = 48_000 if format == "OGG" else 44_100
    soundfile.write(path, AUDIO[0, :3000], rate, endian=endian, format=format)
    with AudioReader(path) as reader:
        expected = np.concatenate(list(reader), axis=1)
    with AudioReader(io.BytesIO(path.read_bytes())) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), expected)


class Endless(io.RawIOBase):
    """A pipe in which something comes for ever."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        self.given += len(buffer)
        assert self.given < 1 << 20
        buffer[:] = (self.content * len(buffer))[: len(buffer)]
        return len(buffer)


@pytest.mark.parametrize("content", [b"y\n", b"\0", b"Some text.\n", b"\x89HAC"])
def test_what_is_no_audio_is_not_copied_first(content: bytes) -> None:
    with pytest.raises(InputError, match=r"is not audio .* --raw|is a \.hac file already"):
        AudioReader(io.BufferedReader(Endless(content)))


@pytest.mark.parametrize("raw", [None, RawFormat(SAMPLE_RATE, 1)])
def test_a_slow_pipe_gives_what_is_there(raw: RawFormat | None) -> None:
    """Each block is asked for before the next samples are written; waiting for more would hang."""
    with pipe() as (reading, writing):
        with AudioWriter(writing, SAMPLE_RATE, 1, raw=raw) as writer:
            for count in (480, 1, 479):
                writer.write(AUDIO[:1, :count])
                if count == 480:
                    reader = AudioReader(reading, raw=raw)
                assert next(reader).shape == (1, count)
        writing.close()
        assert list(reader) == [] and reader.truncated is None


def test_half_a_sample_waits_for_its_other_half() -> None:
    with pipe() as (reading, writing):
        writing.write(b"\0\0\0")
        reader = AudioReader(reading, raw=RawFormat(SAMPLE_RATE, 2))
        blocks: list[np.ndarray] = []
        thread = threading.Thread(target=lambda: blocks.append(next(reader)))
        thread.start()
        thread.join(0.05)
        assert thread.is_alive() and not blocks
        writing.write(b"\x40")
        thread.join()
        assert blocks[0].tolist() == [[0.0], [0.5]]


def test_a_full_pipe_gives_whole_blocks() -> None:
    with pipe() as (reading, writing):
        writing.write(bytes(48000))
        reader = AudioReader(reading, raw=RawFormat(SAMPLE_RATE, 1), block_samples=1000)
        assert [next(reader).shape[1] for _ in range(24)] == [1000] * 24


def test_a_slow_pipe_can_be_waited_for() -> None:
    content = (32768 * AUDIO[0, :700]).astype("<i2").tobytes()
    with pipe() as (reading, writing):
        reader = AudioReader(reading, raw=RawFormat(SAMPLE_RATE, 1))
        reader.wait_for_blocks(300)
        blocks: list[np.ndarray] = []
        thread = threading.Thread(target=lambda: blocks.extend(reader))
        thread.start()
        for start in range(0, len(content), 100):
            writing.write(content[start : start + 100])
            thread.join(0.001)
        writing.close()
        thread.join()
        assert [block.shape[1] for block in blocks] == [300, 300, 100]


def test_a_fifo_by_name(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    content = stored(tmp_path / "a.flac")
    thread = threading.Thread(target=fifo.write_bytes, args=(content,))
    thread.start()
    with AudioReader(fifo) as reader:
        assert reader.format == "FLAC"
        assert sum(block.shape[1] for block in reader) == AUDIO.shape[1]
    thread.join()


def test_standard_input_to_standard_output(tmp_path: Path) -> None:
    code = (
        "import sys; from hac_cli.audio import *\n"
        "with AudioReader(sys.stdin.buffer) as reader:\n"
        "    with AudioWriter(sys.stdout.buffer, reader.sample_rate, reader.channels) as writer:\n"
        "        for block in reader: writer.write(block)"
    )
    content = stored(tmp_path / "a.wav")
    result = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert result.stdout[:4] == b"RIFF" and result.stderr == b""
    assert struct.unpack("<I", result.stdout[40:44])[0] == 0xFFFFFFFF
    assert result.stdout[44:] == content[-AUDIO.size * 2 :]


def test_a_known_length_is_told_to_a_pipe() -> None:
    stream = io.BytesIO()
    with AudioWriter(stream, SAMPLE_RATE, 1, subtype="PCM_U8", samples=1001) as writer:
        writer.write(AUDIO[:1, :1001])
    content = stream.getvalue()
    assert struct.unpack("<4xI32xI", content[:44]) == (36 + 1002, 1001) and len(content) == 44 + 1002


def test_every_write_is_flushed() -> None:
    with pipe() as (reading, writing):
        buffered = io.BufferedWriter(writing, 1 << 20)
        writer = AudioWriter(buffered, SAMPLE_RATE, 1)
        assert len(os.read(reading.fileno(), 1000)) == 44
        writer.write(AUDIO[:1, :10])
        assert len(os.read(reading.fileno(), 1000)) == 20
        writer.close()
        assert not buffered.closed


def test_a_broken_pipe_passes_through() -> None:
    with pipe() as (reading, writing):
        writer = AudioWriter(writing, SAMPLE_RATE, 2)
        reading.close()
        with pytest.raises(BrokenPipeError), writer:
            writer.write(AUDIO)


def test_only_wav_and_raw_go_to_a_pipe() -> None:
    with pytest.raises(UsageError, match="FLAC can't be written to a pipe"):
        AudioWriter(io.BytesIO(), SAMPLE_RATE, 1, format="flac")


def test_no_room_for_the_copy_of_a_piped_flac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)  # which asks itself by writing
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: open("/dev/full", "r+b", buffering=0))  # noqa: PTH123,SIM115
    with pytest.raises(OutputError, match=r"stored first.*No space left.*TMPDIR"):
        AudioReader(io.BytesIO(stored(tmp_path / "a.flac")))
