"""Reading files: formats, limits and errors."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import COMPRESSED, SAMPLE_RATE, read_all, speechlike, write

from hac_cli.audio import AudioReader, RawFormat, to_mono
from hac_cli.audio.pcm import S16
from hac_cli.audio.wav import wav_header
from hac_cli.errors import InputError


@pytest.mark.parametrize("extension", [*COMPRESSED, "oga", "aiff", "au", "caf", "w64", "wav"])
def test_reads_every_format_by_content(tmp_path: Path, extension: str) -> None:
    audio = speechlike(2, 1.5)
    path = write(tmp_path / f"a.{extension}", audio).rename(tmp_path / "named.wav")
    expected, _ = soundfile.read(path, dtype="float32")
    inner = slice(2000, -2000)
    for source in (path, io.BytesIO(path.read_bytes())):
        reader = AudioReader(source)
        assert reader.format == {"opus": "OGG", "oga": "OGG"}.get(extension, extension.upper())
        assert (reader.sample_rate, reader.channels) == (SAMPLE_RATE, 2)
        result = read_all(reader)
        assert result.shape == audio.shape and result.dtype == np.float32 and reader.truncated is None
        np.testing.assert_allclose(result, expected.T, atol=1e-6 if extension == "mp3" else 0)
        assert np.corrcoef(result[0, inner], audio[0, inner])[0, 1] > 0.99


@pytest.mark.parametrize("sample_rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000])
def test_every_rate_and_channel_count(tmp_path: Path, sample_rate: int) -> None:
    for channels, extension in itertools.product((1, 2, 6, 8), ("wav", "flac")):
        audio = speechlike(channels, 0.05, sample_rate)
        reader = AudioReader(write(tmp_path / f"a.{extension}", audio, sample_rate))
        assert (reader.sample_rate, reader.channels, reader.samples_expected) == (
            sample_rate,
            channels,
            audio.shape[1],
        )
        np.testing.assert_allclose(read_all(reader), audio, atol=2**-15, rtol=0)


def test_blocks_are_a_second_or_as_asked(tmp_path: Path) -> None:
    for extension in ("wav", "flac"):
        path = write(tmp_path / f"a.{extension}", speechlike(1, 2.25))
        with AudioReader(path) as reader:
            assert [block.shape[1] for block in reader] == [24000, 24000, 6000]
            assert reader.samples_read == 54000
        with AudioReader(path, block_samples=10007) as reader:
            assert [block.shape[1] for block in reader] == [10007] * 5 + [54000 - 5 * 10007]


def test_a_stream_stays_open_and_a_path_does_not(tmp_path: Path) -> None:
    content = io.BytesIO(write(tmp_path / "a.wav", speechlike(1, 0.1)).read_bytes())
    read_all(AudioReader(content))
    assert not content.closed


@pytest.mark.parametrize(
    ("mode", "tag"), [("AVERAGE", b""), ("VARIABLE", b""), ("VARIABLE", b"ID3\x04\0\0\0\0\x01\0" + bytes(128))]
)
def test_an_mp3_is_read_to_its_end_even_if_it_does_not_tell_its_length(tmp_path: Path, mode: str, tag: bytes) -> None:
    path = tmp_path / "a.mp3"
    loudness = np.repeat(np.random.default_rng(0).uniform(0, 1, 6) ** 4, SAMPLE_RATE)
    noise = np.random.default_rng(1).normal(0, 0.3, len(loudness)) * loudness
    soundfile.write(path, noise, SAMPLE_RATE, format="MP3", bitrate_mode=mode, compression_level=0.5)
    whole = path.read_bytes()
    path.write_bytes(tag + whole)
    told = AudioReader(path)
    assert told.samples_expected == read_all(told).shape[1] == len(noise) and told.truncated is None
    second_frame = whole.index(whole[:2], 4)  # the first holds no audio but the length
    path.write_bytes(tag + whole[second_frame:])
    untold = AudioReader(path)
    assert untold.format == "MP3" and untold.samples_expected is None
    assert len(noise) <= read_all(untold).shape[1] < len(noise) + 3000 and untold.truncated is None


@pytest.mark.parametrize("extension", ["wav", "aiff"])
def test_a_file_without_samples_is_read(tmp_path: Path, extension: str) -> None:
    reader = AudioReader(write(tmp_path / f"a.{extension}", np.zeros((2, 0), np.float32)))
    assert read_all(reader).shape == (2, 0) and reader.truncated is None


def failing(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        AudioReader(path)
    assert caught.value.path == str(path) and "\n" not in caught.value.message
    return caught.value


def test_missing_file_and_directory(tmp_path: Path) -> None:
    assert failing(tmp_path / "none.wav").message == "no such file; check the name"
    assert "is a directory" in failing(tmp_path).message
    (tmp_path / "file").write_bytes(b"x")
    assert "can't be read" in failing(tmp_path / "file" / "a.wav").message


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root, who may run this, is refused nothing
    assert "permission denied" in failing(tmp_path / "a.wav").message


def test_empty_file_and_pipe(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    assert "0 bytes" in failing(tmp_path / "a.wav").message
    with pytest.raises(InputError, match="0 bytes"):
        AudioReader(io.BytesIO())


@pytest.mark.parametrize(
    "content", [b"Dear reader,\nthis is text.\n" * 50, b"R", b"RIFF\0\0\0\0AVI LIST" * 9, bytes(5000)]
)
def test_what_is_no_audio(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert "is not audio that libsndfile can read; convert it first" in failing(path).message
    with pytest.raises(InputError, match="is not audio"):
        AudioReader(io.BytesIO(content))


@pytest.mark.parametrize(
    ("sample_rate", "channels", "reason"),
    [
        (7999, 1, "7999 Hz.*8000 to 192000.*ffmpeg"),
        (192001, 1, "192001 Hz"),
        (24000, 9, "9 channels.*1 to 8.*ffmpeg"),
    ],
)
def test_outside_the_limits(tmp_path: Path, sample_rate: int, channels: int, reason: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((10, channels)), sample_rate)
    with pytest.raises(InputError, match=reason):
        AudioReader(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_the_first_sample_that_is_no_number_is_named(tmp_path: Path, value: float, container: str) -> None:
    audio = np.zeros((SAMPLE_RATE * 3, 2), np.float32)
    audio[30000, 1] = audio[30001, 0] = value
    path = tmp_path / "a"
    soundfile.write(path, audio, SAMPLE_RATE, format=container, subtype="FLOAT")
    with AudioReader(path) as reader:
        next(reader)
        with pytest.raises(InputError, match=r"sample at 1\.250 s is not a finite number") as caught:
            next(reader)
    assert caught.value.path == str(path)


def test_a_64_bit_float_too_large_for_32_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.0, 1e300]), 8000, subtype="DOUBLE")
    with AudioReader(tmp_path / "a.wav") as reader, pytest.raises(InputError, match="finite"):
        next(reader)


def test_integers_that_were_written_as_floats_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([3.0, 8000.0], np.float32), 8000, subtype="FLOAT")
    with AudioReader(tmp_path / "a.wav") as reader, pytest.raises(InputError, match="is 8000, where 1 is full level"):
        next(reader)


@pytest.mark.parametrize("value", [np.nan, 1e9])
def test_what_a_pipe_gave_before_a_spoilt_sample_is_kept(value: float) -> None:
    audio = np.linspace(-1, 1, 5000, dtype="<f4")
    audio[3000] = value
    receiver, sender = os.pipe()
    with os.fdopen(receiver, "rb") as pipe, os.fdopen(sender, "wb") as end:
        end.write(audio.tobytes())
        end.close()
        reader = AudioReader(pipe, RawFormat.parse("24000:1:f32"))
        assert np.array_equal(read_all(reader)[0], audio[:3000])
    assert "the sample at 0.125 s is " in str(reader.truncated)


def test_float_beyond_full_scale_is_passed_on(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([3.5, -7.0], np.float32), 8000, subtype="FLOAT")
    assert read_all(AudioReader(tmp_path / "a.wav")).tolist() == [[3.5, -7.0]]


def test_to_mono_is_the_mean() -> None:
    block = np.array([[1, 0.5], [0, 0.5], [-0.5, 0.5], [0.5, -0.5]], np.float32)
    mono = to_mono(block)
    assert mono.tolist() == [[0.25, 0.25]] and mono.dtype == np.float32
    assert to_mono(block[:1]).tolist() == block[:1].tolist()


def test_a_long_file_is_never_held_in_memory(tmp_path: Path) -> None:
    """An hour of 8-channel 192 kHz audio is 11 GB; its first blocks must not take more than a few of their own."""
    path = tmp_path / "long.wav"
    path.write_bytes(wav_header(S16, 192000, 8, 192000 * 3600, room_for_rf64=True))
    os.truncate(path, path.stat().st_size + 192000 * 3600 * 16)
    code = (
        "import sys, itertools; from hac_cli.audio import AudioReader\n"
        "blocks = sum(b.shape[1] for b in itertools.islice(AudioReader(sys.argv[1]), 10))\n"
        # getrusage's ru_maxrss would count what the process that started this one held
        "print(blocks, open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    samples, peak_kib = map(int, result.stdout.split())
    assert samples == 1920000 and peak_kib < 200_000


def test_importing_loads_neither_soundfile_nor_soxr_nor_torch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speechlike(1, 0.1))
    code = (
        "import sys; from hac_cli.audio import AudioReader; list(AudioReader(sys.argv[1]))\n"
        "print([name for name in ('soundfile', 'soxr', 'torch') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
