"""Our own reading and writing of WAV, held against libsndfile's."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from hac_cli.audio import AudioReader, AudioWriter
from hac_cli.audio.pcm import S16, SampleFormat
from hac_cli.audio.wav import read_wav_header, wav_header
from hac_cli.errors import InputError

SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]
TONE = (0.5 * np.sin(np.arange(1001) * 0.1)).astype(np.float32)


def noise(channels: int, samples: int = 1001) -> np.ndarray:
    return np.random.default_rng(channels).uniform(-1, 1, (channels, samples)).astype(np.float32)


def read_all(source: object, **options: object) -> tuple[np.ndarray, AudioReader]:
    with AudioReader(source, **options) as reader:  # type: ignore[arg-type]
        blocks = list(reader)
    return np.concatenate([np.zeros((reader.channels, 0), np.float32), *blocks], axis=1), reader


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return struct.pack("<4sI", name, len(content) if size is None else size) + content + b"\0" * (len(content) % 2)


def wav_file(*chunks: bytes, riff_size: int | None = None, magic: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", magic, len(body) if riff_size is None else riff_size) + body


MONO_FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 24000, 48000, 2, 16))
TONE_BYTES = S16.encode(TONE[None])
TONE_READ = S16.decode(TONE_BYTES, 1)


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_reads_what_libsndfile_reads(tmp_path: Path, subtype: str, container: str) -> None:
    path = tmp_path / "a.wav"
    for channels in (1, 2, 6, 8):
        soundfile.write(path, noise(channels).T, 44100, subtype=subtype, format=container)
        expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
        audio, reader = read_all(path)
        np.testing.assert_array_equal(audio, expected.T)
        assert (reader.sample_rate, reader.channels, reader.format) == (44100, channels, "WAV")
        assert reader.samples_expected == reader.samples_read == 1001 and reader.truncated is None


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_libsndfile_reads_what_is_written(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "a.wav"
    step = 0 if subtype in ("FLOAT", "DOUBLE") else {"PCM_U8": 2.0**-7}.get(subtype, 2.0**-15)
    for samples, announced in itertools.product((0, 1, 1001), (True, False)):
        block = noise(channels, samples)
        with AudioWriter(path, 22050, channels, subtype=subtype, samples=samples if announced else None) as writer:
            writer.write(block)
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (22050, channels, samples)
        assert (info.format, info.subtype) == ("WAV", subtype)
        audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
        np.testing.assert_allclose(audio.T, block, atol=step, rtol=0)
        assert path.stat().st_size == struct.unpack("<4xI", path.read_bytes()[:8])[0] + 8
        assert path.stat().st_size % 2 == 0


def test_chunks_around_the_samples_are_skipped(tmp_path: Path) -> None:
    content = wav_file(
        chunk(b"JUNK", bytes(27)),
        MONO_FORMAT,
        chunk(b"LIST", b"x" * 70_001),
        chunk(b"data", TONE_BYTES),
        chunk(b"id3 ", b"T" * 99),
    )
    (tmp_path / "a.wav").write_bytes(content)
    for source in (tmp_path / "a.wav", io.BytesIO(content)):
        audio, reader = read_all(source)
        np.testing.assert_array_equal(audio, TONE_READ)
        assert reader.truncated is None


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFF000, 0x7FFFEFFE, 0x80000000, 0x7FFFFFFF])
def test_lengths_that_were_never_filled_in_mean_up_to_the_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    for riff_size in (0, 36, 0xFFFFFFFF, 0x7FFFF024):
        path.write_bytes(wav_file(MONO_FORMAT, chunk(b"data", TONE_BYTES, size), riff_size=riff_size))
        for source, expected in ((path, len(TONE)), (io.BytesIO(path.read_bytes()), None)):
            audio, reader = read_all(source)
            np.testing.assert_array_equal(audio, TONE_READ)
            assert reader.truncated is None and reader.samples_expected == expected


def test_no_samples_but_a_chunk_behind_is_no_audio() -> None:
    audio, reader = read_all(io.BytesIO(wav_file(MONO_FORMAT, chunk(b"data", b""), chunk(b"LIST", b"x" * 50))))
    assert audio.shape == (1, 0) and reader.truncated is None


@pytest.mark.parametrize("bits", [12, 20])
def test_odd_bit_depths_are_read_as_libsndfile_reads_them(tmp_path: Path, bits: int) -> None:
    size = -(-bits // 8)
    layout = struct.pack("<HHIIHH", 1, 1, 24000, 24000 * size, size, bits)
    (tmp_path / "a.wav").write_bytes(wav_file(chunk(b"fmt ", layout), chunk(b"data", bytes(range(6 * size)))))
    expected, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_array_equal(read_all(tmp_path / "a.wav")[0][0], expected)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM"])
def test_other_codings_are_left_to_libsndfile(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(2).T, 8000, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    for source in (path, io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(read_all(source)[0], expected.T)


@pytest.mark.parametrize("length", [12, 19, 30, 43])
def test_a_header_that_is_cut_short_is_an_error(length: int) -> None:
    content = wav_file(MONO_FORMAT, chunk(b"data", TONE_BYTES))
    with pytest.raises(InputError, match="cut off within the WAV header"):
        AudioReader(io.BytesIO(content[:length]))


def test_a_huge_chunk_before_the_format_is_an_error_not_a_full_memory() -> None:
    with pytest.raises(InputError, match="no usable WAV header"):
        AudioReader(io.BytesIO(wav_file(chunk(b"JUNK", bytes(100), 0xFFFF0000))))
    with pytest.raises(InputError, match="no usable WAV header"):
        AudioReader(io.BytesIO(wav_file(chunk(b"fmt ", bytes(100), 0xFFFF0000))))
    with pytest.raises(InputError, match="no usable WAV header"):
        AudioReader(io.BytesIO(wav_file(chunk(b"ds64", bytes(100), 0xFFFF0000))))


class Trickle(io.RawIOBase):
    """Gives its content in pieces of the given sizes, as a pipe may."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._rest, self._sizes = content, sizes

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._sizes.pop(0) if self._sizes else size)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


@given(
    sizes=st.lists(st.integers(1, 50), max_size=60),
    channels=st.integers(1, 8),
    sample_format=st.sampled_from([SampleFormat("u", 1), S16, SampleFormat("s", 3), SampleFormat("f", 4)]),
    samples=st.integers(0, 40),
    known=st.booleans(),
    block_samples=st.integers(1, 50),
)
def test_any_cut_of_the_bytes_gives_the_same_samples(
    sizes: list[int], channels: int, sample_format: SampleFormat, samples: int, known: bool, block_samples: int
) -> None:
    stored = sample_format.encode(noise(channels, samples))
    content = wav_header(sample_format, 24000, channels, samples if known else None) + stored
    audio, reader = read_all(Trickle(content, sizes), block_samples=block_samples)
    np.testing.assert_array_equal(audio, sample_format.decode(stored, channels))
    assert reader.truncated is None


@pytest.mark.parametrize("samples", [None, 0, 1000, 2**31 - 1000, 2**31, 2**40])
@pytest.mark.parametrize("room_for_rf64", [True, False])
def test_header_survives_the_way_there_and_back(samples: int | None, room_for_rf64: bool) -> None:
    content = wav_header(S16, 24000, 1, samples, room_for_rf64)
    assert len(content) == len(wav_header(S16, 24000, 1, None, room_for_rf64))
    header = read_wav_header(io.BytesIO(content).read)
    known = samples is not None and (room_for_rf64 or samples < 2**31) and samples != 0
    assert header.data_size == (2 * samples if known else None)
    assert content[:4] == (b"RF64" if room_for_rf64 and samples is not None and samples >= 2**31 else b"RIFF")


def test_files_beyond_4_gib(tmp_path: Path) -> None:
    samples = 3 * 2**30
    path = tmp_path / "long.wav"
    start = wav_header(S16, 24000, 1, samples, room_for_rf64=True)
    with path.open("wb") as file:
        file.write(start + TONE_BYTES)
        file.truncate(len(start) + 2 * samples)  # the rest is a hole, which takes no space
    assert soundfile.info(path).frames == samples
    with AudioReader(path) as reader:
        assert reader.samples_expected == samples
        np.testing.assert_array_equal(next(reader)[:, : len(TONE)], TONE_READ)


def test_a_length_that_began_again_at_4_gib(tmp_path: Path) -> None:
    path, bytes_left = tmp_path / "long.wav", 5 * 2**30
    start = wav_header(S16, 24000, 1, 2**29)  # what 32 bits leave of it
    with path.open("wb") as file:
        file.write(start + TONE_BYTES)
        file.truncate(len(start) + bytes_left)
    with AudioReader(path) as reader:
        assert reader.samples_expected == bytes_left // 2
        np.testing.assert_array_equal(next(reader)[:, : len(TONE)], TONE_READ)


def test_a_writer_that_passes_4_gib_makes_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleFormat, "encode", lambda self, block: b"")  # counts samples, writes none
    block = np.broadcast_to(np.float32(0), (1, 2**30))
    with AudioWriter(tmp_path / "a.wav", 24000, 1) as writer:
        for _ in range(3):
            writer.write(block)
    with (tmp_path / "a.wav").open("rb") as file:
        assert file.read(4) == b"RF64"
        file.seek(0)
        assert read_wav_header(file.read).data_size == 3 * 2**31


def test_another_chunk_of_samples_is_told_where_it_is_left_out(tmp_path: Path) -> None:
    for between in (b"", chunk(b"LIST", b"adtl")):
        content = wav_file(MONO_FORMAT, chunk(b"data", TONE_BYTES), between, chunk(b"data", TONE_BYTES))
        (tmp_path / "a.wav").write_bytes(content)
        for source in (tmp_path / "a.wav", io.BytesIO(content)):
            audio, reader = read_all(source)
            np.testing.assert_array_equal(audio, TONE_READ)
            assert reader.truncated == "has a second chunk of samples, after 0.04 s"
