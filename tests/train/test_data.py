"""Training data: what is read, what is refused, how crops are drawn."""

import errno
import os
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hac_cli.errors import InputError, OutputError, UsageError
from hac_cli.train import data
from hac_cli.train.augment import coloured_noise, limit_band, reverberate, rms
from hac_cli.train.crops import Crops, CropSettings, speaker_weights

SMALL = CropSettings(seconds=0.2, batch=2)


def test_data_is_counted_and_what_is_skipped_is_said(corpus):
    assert {clip.speaker for clip in corpus.clips} == {"anna", "berta", "carl"}
    assert [clip.seconds for clip in corpus.clips] == pytest.approx([1.5, 1.5, 1.5])
    report = corpus.report()
    assert "speech: 0.00 h, 3 speakers, 3 files" in report and "notes.txt" not in report
    assert "skipped 1 files: not audio" in report and "broken.flac" in report
    assert "skipped 1 files: holds no samples" in report and "empty.wav" in report


def test_files_of_one_name_are_not_mixed_up_in_the_cache(corpus):
    assert len({clip.audio.tobytes() for clip in corpus.clips}) == 3


def test_a_copy_of_the_data_is_not_decoded_again(folder, corpus, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for path in copy.rglob("*.flac"):
        os.utime(path, (1, 1))
    cache = tmp_path / "cache"
    data.load([data.Source(folder)], cache)
    entries = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    again = data.load([data.Source(copy)], cache)
    assert entries == {path: path.stat().st_mtime_ns for path in cache.iterdir()} and len(entries) == 3
    assert all(np.array_equal(a.audio, b.audio) for a, b in zip(corpus.clips, again.clips, strict=True))


def test_a_changed_file_is_decoded_again(tmp_path):
    path = tmp_path / "a" / "one.wav"
    path.parent.mkdir()
    for value in (0.25, 0.5):
        soundfile.write(path, value * np.sin(np.arange(24_000)), 24_000)
        corpus = data.load([data.Source(tmp_path / "a")], tmp_path / "cache")
        assert rms(corpus.clips[0].audio / 32768) == pytest.approx(value / 2**0.5, rel=0.01)


def test_a_cache_entry_that_is_not_whole_is_decoded_anew(folder, corpus, tmp_path):
    for left in (0, 60, 1000):
        data.load([data.Source(folder)], tmp_path)
        for entry in tmp_path.iterdir():
            os.truncate(entry, left)
        again = data.load([data.Source(folder)], tmp_path)
        assert len(again.skipped) == 2
        assert all(np.array_equal(a.audio, b.audio) for a, b in zip(corpus.clips, again.clips, strict=True))


def test_there_may_be_more_recordings_than_open_files(tmp_path):
    for number in range(40):
        soundfile.write(tmp_path / f"{number}.wav", np.full(240, number / 100), 24_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 20, hard))  # noqa: PTH208
    try:
        corpus = data.load([data.Source(tmp_path)], tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(corpus.clips) == 40 and not corpus.skipped


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_a_machine_at_its_limits_is_no_fault_of_a_file(error, folder, tmp_path, monkeypatch):
    def decode(path):
        raise error

    monkeypatch.setattr(data, "decode", decode)
    with pytest.raises(InputError, match=r"raise that limit|memory"):
        data.load([data.Source(folder)], tmp_path)


def test_a_cache_that_cannot_be_written_is_no_fault_of_a_file(folder, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="can't be written"):
        data.load([data.Source(folder)], tmp_path / "cache" / "deeper")


def test_sources_without_audio_are_errors(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no recordings"):
        data.load([data.Source(folder), data.Source(tmp_path / "empty")], tmp_path / "cache")
    (tmp_path / "empty" / "talk.wav").write_text("nothing")
    with pytest.raises(InputError, match="no audio that can be read"):
        data.load([data.Source(tmp_path / "empty")], tmp_path / "cache")
    with pytest.raises(InputError, match="no such folder"):
        data.load([data.Source(folder), data.Source(tmp_path / "missing")], tmp_path / "cache")
    (tmp_path / "list.csv").write_text("file,speaker\na.wav,b\n")
    with pytest.raises(InputError, match="not a manifest"):
        data.load([data.Source(tmp_path / "list.csv")], tmp_path / "cache")


def test_a_manifest_names_files_speakers_and_weights(folder, tmp_path):
    manifest = folder / "list.csv"
    manifest.write_text("path,kind,speaker,weight\nanna/one.flac,speech,a,3\ncarl/one.flac,music,,\ngone.flac,,,\n")
    corpus = data.load([data.Source(manifest, 2.0)], tmp_path / "cache")
    manifest.unlink()
    assert [(c.kind, c.speaker, c.weight) for c in corpus.clips] == [("speech", "a", 6), ("music", "carl/one.flac", 2)]
    assert corpus.skipped == [(folder / "gone.flac", "No such file or directory")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"path,weight\na.wav,1\nb.wav,nan", "line 3: its weight is nan; it has to be a number above 0"),
        (b"path,weight\na.wav,-1", "its weight is -1"),
        (b"path,weight\na.wav,0", "its weight is 0"),
        (b"path,kind\na.wav,Speech", "line 2: its kind is 'Speech'; known are speech, music, sfx"),
        (b"kind,path\nspeech", "line 2: it has no path"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "not a manifest"),
        (b"fLaC\xff\xfe\xfd", "not a manifest"),
    ],
)
def test_a_mistake_in_a_manifest_is_said(content, complaint, tmp_path):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        data.load([data.Source(tmp_path / "list.csv")], tmp_path / "cache")


def test_a_manifest_may_come_of_a_spreadsheet(folder, tmp_path):
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"path,kind\r\n{folder}/anna/one.flac,music\r\n\r\n", encoding="utf-8-sig")
    assert [row[1] for row in data.list_files(manifest)] == ["music"]


def test_sources_may_carry_a_weight(tmp_path):
    assert data.Source.parse("speech") == data.Source(data.Path("speech"), 1.0)
    assert data.Source.parse("speech=0.5") == data.Source(data.Path("speech"), 0.5)
    (tmp_path / "a=2").mkdir()
    assert data.Source.parse(str(tmp_path / "a=2")).weight == 1.0
    for wrong in ("speech=much", "speech=0", "speech=-1", "speech=inf"):
        with pytest.raises(UsageError, match="number above 0"):
            data.Source.parse(wrong)


def test_a_speaker_with_much_speech_does_not_drown_the_others(tmp_path):
    clips = [data.Clip(tmp_path, "speech", name, np.zeros(seconds * 24_000, np.int16))
             for name, seconds in (("a", 100), ("b", 1), ("c", 1))]  # fmt: skip
    assert np.diff(speaker_weights(clips), prepend=0) == pytest.approx(np.array([10, 1, 1]) / 12)
    clips[2].weight = 4.0
    assert np.diff(speaker_weights(clips), prepend=0) == pytest.approx(np.array([10, 1, 4]) / 15)


def test_crops_are_the_same_for_the_same_number(corpus):
    crops = Crops(corpus, SMALL, seed=7)
    assert np.array_equal(crops.batch(3), crops.batch(3))
    assert not np.array_equal(crops.batch(3), crops.batch(4))
    assert crops.batch(0).shape == (2, 4800) and np.abs(crops.batch(0)).max() <= 1
    doubled = Crops(corpus, replace(SMALL, batch=4), seed=7)
    assert np.array_equal(doubled.batch(1), np.concatenate([crops.batch(2), crops.batch(3)]))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_whoever_draws_them(corpus, workers):
    crops = Crops(corpus, SMALL, seed=7)
    batches = crops.batches(5, 3, workers)
    for number in (5, 8, 11, 14):
        assert np.array_equal(next(batches), crops.batch(number))


def test_whoever_draws_crops_leaves_signals_to_the_trainer(corpus):
    crops = Crops(corpus, SMALL, seed=7)
    batches = crops.batches(0, workers=2)
    for number in range(2):  # both of them have begun
        assert np.array_equal(next(batches), crops.batch(number))
    for worker in batches._workers:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(worker.pid, number)
    for number in range(2, 9):
        assert np.array_equal(next(batches), crops.batch(number))


def test_recordings_that_are_too_short_are_counted(corpus):
    short = data.Clip(data.Path("x"), "speech", "dora", np.zeros(100, np.int16))
    assert Crops(data.Corpus([*corpus.clips, short]), SMALL, 0).too_short == 1
    with pytest.raises(InputError, match="no speech is longer"):
        Crops(data.Corpus([short]), SMALL, 0)


def test_augmented_crops_are_still_crops(corpus):
    settings = replace(SMALL, reverb=1.0, band_limit=1.0, noise=1.0, silence=0.0)
    crop = Crops(corpus, settings, 7).crop(1)
    assert crop.shape == (4800,) and crop.dtype == np.float32 and 0.01 < rms(crop) < 1
    spectrum = np.abs(np.fft.rfft(crop))
    assert spectrum[-400:].max() < 1e-2 * spectrum.max()  # 10 to 12 kHz


def test_reverberation_decays_and_comes_after_the_sound():
    random = np.random.default_rng(1)
    click = np.zeros(24_000, np.float32)
    click[12_000] = 1
    wet = reverberate(click, random)
    assert np.abs(wet[:12_000]).max() < 1e-6 and wet[12_000] == pytest.approx(1, abs=1e-5)
    first, later = (np.square(wet[12_001 + start :][:2400]).sum() for start in (0, 9000))
    assert 0.01 < first < 0.51 and later < 0.2 * first


def test_a_narrow_band_keeps_its_middle():
    random = np.random.default_rng(0)
    noise = random.standard_normal(24_000).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(limit_band(noise, random))) / np.abs(np.fft.rfft(noise))
    assert spectrum[400:3000] == pytest.approx(1, abs=0.02) and spectrum[9800:].max() < 0.02


def test_who_was_held_out_stays_so_whatever_data_comes():
    def speakers(part):
        return {clip.speaker for clip in part.clips}

    clips = [data.Clip(Path("a"), "speech", f"speaker {number}", np.zeros(10, np.int16)) for number in range(40)]
    first = data.Corpus(clips[5:20])
    unheard = speakers(data.split(first, 3)[1])
    names = {data.pseudonym(name) for name in unheard}
    for more in (data.Corpus(clips), data.Corpus(clips[:21]), data.Corpus(clips[6:])):
        train, held = map(speakers, data.split(more, 5, names))
        assert unheard & speakers(more) <= held and len(held) == 5 and not held & train
    assert speakers(data.split(first, 3, names)[1]) == unheard


def test_speakers_are_held_out_whole(corpus):
    train, held = data.split(corpus, 1)
    mine, theirs = ({clip.speaker for clip in part.clips} for part in (train, held))
    assert len(theirs) == 1 and not mine & theirs and len(mine | theirs) == 3


def test_recordings_are_conditioned_but_for_their_level():
    time = np.arange(8 * 24_000) / 24_000
    rumble = 0.1 * np.sin(2 * np.pi * 30 * time)
    voice = np.sin(2 * np.pi * 200 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 4
    hiss = np.random.default_rng(0).standard_normal(time.size) / 1000
    audio = data.condition(np.round(32767 * (rumble + voice + hiss)).astype(np.int16))

    def band(samples: np.ndarray, low: int, high: int) -> float:
        return float(np.square(np.abs(np.fft.rfft(samples)))[low * 8 : high * 8].sum())

    before = rumble + voice + hiss
    assert band(audio / 32767, 20, 40) < 1e-3 * band(before, 20, 40)
    darkness = [band(x, 100, 400) / band(x, 2000, 10_000) for x in (before, audio)]
    assert darkness[1] < 0.3 * darkness[0]
    assert 0.8 < np.square(audio / 32767).mean() / np.square(before).mean() < 1.25


def test_what_was_conditioned_otherwise_is_conditioned_anew(folder, tmp_path, monkeypatch):
    def heard() -> list[bytes]:
        data._conditioning.cache_clear()
        return [clip.audio.tobytes() for clip in data.load([data.Source(folder)], tmp_path / "cache").clips]

    before = heard()
    with monkeypatch.context() as patch:
        patch.setattr("hac_cli.tinters.STRENGTH", 0.2)
        assert not set(heard()) & set(before)
    assert heard() == before


def test_noise_has_nothing_below_speech():
    noise = coloured_noise(24_000, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(noise))
    assert rms(noise) == pytest.approx(1, rel=1e-3) and spectrum[:60].max() < 1e-2 < spectrum[60:120].mean()
