"""Writing files: formats, exact samples, refusals and full disks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hac_cli.audio import AudioReader, AudioWriter, RawFormat, formats
from hac_cli.errors import HacError, OutputError, UsageError

SAMPLE_RATE = 24000
RAMP = np.linspace(-1.5, 1.5, 5001, dtype=np.float32)[None]
ALL_EXTENSIONS = ["wav", "flac", "ogg", "oga", "opus", "mp3", "aiff", "aif", "au", "caf", "w64"]


def write(path: Path, audio: np.ndarray, sample_rate: int = SAMPLE_RATE, **options: object) -> Path:
    with AudioWriter(path, sample_rate, len(audio), **options) as writer:  # type: ignore[arg-type]
        writer.write(audio)
        assert writer.samples_written == audio.shape[1]
    return path


@pytest.mark.parametrize("extension", ["wav", "flac", "aiff", "au", "caf", "w64"])
@pytest.mark.parametrize(("subtype", "bits"), [(None, 16), ("PCM_16", 16), ("PCM_24", 24)])
def test_integers_are_the_nearest_and_clipped_in_every_format(
    tmp_path: Path, extension: str, subtype: str | None, bits: int
) -> None:
    path = write(tmp_path / f"a.{extension}", RAMP, subtype=subtype)
    assert soundfile.info(path).subtype == f"PCM_{bits}"
    integers, _ = soundfile.read(path, dtype="int32")
    limit = 2 ** (bits - 1)
    expected = np.clip(np.rint(RAMP[0].astype(np.float64) * limit), -limit, limit - 1)
    np.testing.assert_array_equal(integers >> (32 - bits), expected)


@pytest.mark.parametrize("extension", ["ogg", "opus", "mp3"])
def test_lossy_formats_do_not_wrap_around(tmp_path: Path, extension: str) -> None:
    loud = 4 * np.sin(np.arange(SAMPLE_RATE) * 0.05)[None].astype(np.float32)
    audio, _ = soundfile.read(write(tmp_path / f"a.{extension}", loud), dtype="float32")
    assert len(audio) == SAMPLE_RATE
    assert np.corrcoef(audio[2000:-2000], np.clip(loud[0], -1, 1)[2000:-2000])[0, 1] > 0.99


def test_float_wav_keeps_what_is_beyond_full_scale(tmp_path: Path) -> None:
    audio, _ = soundfile.read(write(tmp_path / "a.wav", RAMP, subtype="FLOAT"), dtype="float32")
    np.testing.assert_array_equal(audio, RAMP[0])


@pytest.mark.parametrize("extension", ALL_EXTENSIONS)
def test_blocks_of_any_size_make_the_same_file(tmp_path: Path, extension: str) -> None:
    audio = 0.3 * np.sin(np.arange(40000) * 0.05)[None].astype(np.float32)
    expected, _ = soundfile.read(write(tmp_path / f"whole.{extension}", audio))
    path = tmp_path / f"pieces.{extension}"
    with AudioWriter(path, SAMPLE_RATE, 1) as writer:
        for start, stop in [(0, 1), (1, 1), (1, 500), (500, 30000), (30000, 40000)]:
            writer.write(audio[:, start:stop])
    result, _ = soundfile.read(path)
    # the lossy encoders choose their windows by what they are given at once
    np.testing.assert_allclose(result, expected, atol=0.02 if extension in ("ogg", "oga", "opus", "mp3") else 0)


def test_a_minute_of_vorbis_in_one_write_on_a_small_stack(tmp_path: Path) -> None:
    code = """
import sys, threading, numpy
from hac_cli.audio import AudioWriter

def write():
    with AudioWriter(sys.argv[1], 24000, 1) as writer:
        writer.write(numpy.zeros((1, 24000 * 60), numpy.float32))

threading.stack_size(1 << 20)
thread = threading.Thread(target=write)
thread.start()
thread.join()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.ogg")], check=True)
    assert soundfile.info(tmp_path / "a.ogg").frames == SAMPLE_RATE * 60


@pytest.mark.parametrize("extension", ["opus", "ogg", "flac"])
@pytest.mark.parametrize(("channels", "in_ogg"), [(3, (0, 2, 1)), (4, (0, 1, 2, 3)), (6, (0, 2, 1, 4, 5, 3))])
def test_channels_stand_where_the_coding_has_them(
    tmp_path: Path, extension: str, channels: int, in_ogg: tuple[int, ...]
) -> None:
    """And come back to where they were. libsndfile gives them as they stand; one sounds after the other."""
    seconds = np.repeat(np.eye(channels), 48_000, axis=1) * 0.3 * np.sin(np.arange(48_000 * channels) / 100)
    path = write(tmp_path / f"a.{extension}", seconds.astype(np.float32), 48_000)

    def order(audio: np.ndarray) -> tuple[int, ...]:
        return tuple(int(np.square(channel).reshape(channels, -1).mean(1).argmax()) for channel in audio)

    assert order(np.concatenate(list(AudioReader(path)), 1)) == tuple(range(channels))
    stands = order(soundfile.read(path, always_2d=True)[0].T)
    assert stands == (tuple(range(channels)) if extension == "flac" else in_ogg)


def test_the_format_argument_wins_over_the_name(tmp_path: Path) -> None:
    for format in ("flac", ".FLAC"):
        assert soundfile.info(write(tmp_path / "out.tmp123", RAMP, format=format)).format == "FLAC"
    raw = RawFormat(SAMPLE_RATE, 1)
    assert write(tmp_path / "a.wav", RAMP, raw=raw).stat().st_size == 2 * RAMP.size


@pytest.mark.parametrize("samples", [None, 0, 10, 5000, 5002, 2**40])
def test_a_file_gets_its_true_length_whatever_was_announced(tmp_path: Path, samples: int | None) -> None:
    path = write(tmp_path / "a.wav", RAMP, samples=samples)
    info = soundfile.info(path)
    assert (info.frames, info.format) == (5001, "WAV")
    assert path.stat().st_size == 2 * 5001 + 44 + (0 if samples in (0, 10, 5000, 5002) else 36)


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.hac", "a.raw"])
def test_an_unknown_extension_lists_the_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.wav, \.flac, \.ogg.*--raw") as caught:
        AudioWriter(tmp_path / name, SAMPLE_RATE, 1)
    assert caught.value.path == str(tmp_path / name) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "sample_rate", "channels", "options", "reason"),
    [
        ("a.opus", 44100, 1, {}, "8000, 12000, 16000, 24000, 48000 Hz, not 44100"),
        ("a.mp3", 96000, 2, {}, "44100, 48000 Hz, not 96000"),
        ("a.mp3", 48000, 6, {}, "up to 2 channels, not 6"),
        ("a.flac", 48000, 1, {"subtype": "FLOAT"}, "can't hold FLOAT"),
        ("a.wav", 48000, 1, {"subtype": "VORBIS"}, "can't hold VORBIS"),
        ("a.raw", 48000, 1, {"raw": RawFormat(24000, 1)}, "24000 Hz, but the audio has 1 at 48000"),
    ],
)
def test_what_a_format_cannot_hold(
    tmp_path: Path, name: str, sample_rate: int, channels: int, options: dict, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        AudioWriter(tmp_path / name, sample_rate, channels, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "opus", "mp3", "aiff"])
@pytest.mark.parametrize("samples", [10, 300_000])
def test_a_full_disk_is_named(extension: str, samples: int, capfd: pytest.CaptureFixture[str]) -> None:
    audio = np.random.default_rng(0).uniform(-1, 1, (1, samples)).astype(np.float32)
    with pytest.raises(OutputError, match="the disk is full") as caught:
        write(Path("/dev/full"), audio, format=extension)
    assert caught.value.path == "/dev/full"
    assert capfd.readouterr().err == ""


def test_full_disk_while_writing_to_a_stream() -> None:
    with open("/dev/full", "wb", buffering=0) as stream, pytest.raises(OutputError, match="the disk is full"):  # noqa: PTH123
        AudioWriter(stream, SAMPLE_RATE, 1)


def test_missing_folder_and_directory(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder does not exist") as caught:
        AudioWriter(tmp_path / "none" / "a.wav", SAMPLE_RATE, 1)
    assert caught.value.path == str(tmp_path / "none" / "a.wav")
    with pytest.raises(OutputError, match="is a directory"):
        AudioWriter(tmp_path, SAMPLE_RATE, 1, format="wav")


@pytest.mark.parametrize("extension", ALL_EXTENSIONS)
def test_no_samples_make_a_valid_file_or_an_error(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    if extension in ("flac", "opus", "mp3"):
        with pytest.raises(OutputError, match="can't be without any samples"):
            write(path, RAMP[:, :0])
    else:
        assert soundfile.info(write(path, RAMP[:, :0])).frames == 0


def test_an_error_inside_is_not_hidden_by_closing() -> None:
    with pytest.raises(HacError, match="first"), AudioWriter("/dev/full", SAMPLE_RATE, 1, format="wav") as writer:
        writer.write(RAMP[:, :100])  # which waits in a buffer until the file is closed
        raise HacError("first")


def test_closing_twice_does_nothing(tmp_path: Path) -> None:
    writer = AudioWriter(tmp_path / "a.wav", SAMPLE_RATE, 1)
    writer.write(RAMP)
    writer.close()
    writer.close()
    assert soundfile.info(tmp_path / "a.wav").frames == RAMP.shape[1]


def test_aiff_refuses_what_its_header_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="AIFF can't hold 4 GiB"):
        AudioWriter(tmp_path / "a.aiff", SAMPLE_RATE, 2, samples=1 << 30)
    monkeypatch.setitem(formats._FORMATS, "aiff", replace(formats._FORMATS["aiff"], max_bytes=2000))
    writer = AudioWriter(tmp_path / "a.aiff", SAMPLE_RATE, 1)  # of a length that nobody knows
    writer.write(RAMP[:, :1000])
    with pytest.raises(OutputError, match="AIFF can't hold 4 GiB"):
        writer.write(RAMP[:, :1])


@pytest.mark.parametrize("extension", [".flac", ".ogg", ".opus", ".aiff", ".caf", ".mp3", ".wav"])
def test_long_tags_make_no_file_that_can_not_be_read(tmp_path: Path, extension: str) -> None:
    tags = {"title": "Talk", "artist": "x" * 4000, "comment": "word " * 12_000}
    path = tmp_path / f"talk{extension}"
    with AudioWriter(path, 24_000, 1, samples=4_800, tags=tags) as writer:
        writer.write(np.zeros((1, 4_800), np.float32))
    with AudioReader(path) as reader:
        assert sum(block.shape[1] for block in reader) >= 4_800
        assert reader.tags["title"] == "Talk"
        assert reader.tags.get("comment", "") in (tags["comment"], "")
