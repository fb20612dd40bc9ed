"""Analysis by synthesis: the tokens that ``--best`` finds."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hac_cli
from hac_cli.codec import searching_stream
from hac_cli.errors import UsageError
from hac_cli.eval import metrics

SPEECH, _ = soundfile.read(Path(__file__).parents[2] / "samples" / "speech.wav", dtype="float32")


@pytest.mark.slow
def test_it_sounds_better():
    """By measures other than those that were looked at, and by a large step."""
    speech = SPEECH[:120_000]
    given, gains = hac_cli.condition(speech)
    tokens = (hac_cli.encode(given, best=way) for way in (False, True))
    fast, best = (hac_cli.decode(coded, gains=gains, samples=len(speech))[0] for coded in tokens)
    assert metrics.stoi(speech, best) > metrics.stoi(speech, fast) + 0.02
    assert metrics.stoi(speech, best, extended=True) > metrics.stoi(speech, fast, extended=True) + 0.03
    assert metrics.mel_distance(speech, best) < 0.95 * metrics.mel_distance(speech, fast)


def test_pieces_of_any_size_give_the_same_tokens(monkeypatch):
    monkeypatch.setattr("hac_cli.search.STEPS", 3)
    monkeypatch.setattr("hac_cli.search_stream.PASSAGE", 1.0)
    speech = np.stack([SPEECH[:100_000], SPEECH[20_000:120_000]])
    stream = searching_stream(2, threads=1)
    sizes = np.random.default_rng(0).integers(1, 20_000, 30).cumsum()
    parts = [stream.push(piece) for piece in np.split(speech, sizes[sizes < speech.shape[1]], axis=1)]
    tokens = np.concatenate([*parts, stream.flush()], 1)
    assert np.array_equal(tokens, hac_cli.encode(speech, best=True))
    assert sum(part.shape[1] for part in parts) == 150  # 2 s of the 4.2 that were there: another is searched
    assert not np.array_equal(tokens, hac_cli.encode(speech))


def test_any_number_of_threads_gives_the_same_tokens(monkeypatch):
    monkeypatch.setattr("hac_cli.search.STEPS", 2)
    monkeypatch.setattr("hac_cli.search_stream.PASSAGE", 0.5)
    found = [hac_cli.encode(SPEECH, best=True, threads=threads) for threads in (1, 2, 5)]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_what_fails_is_told_and_no_other_search_begins(monkeypatch):
    begun = []

    def fail(*_):
        begun.append(1)
        raise RuntimeError("no memory")

    monkeypatch.setattr("hac_cli.search_stream.best_latents", fail)
    monkeypatch.setattr("hac_cli.search_stream.PASSAGE", 0.1)
    stream = searching_stream()
    with contextlib.closing(stream), pytest.raises(RuntimeError, match="no memory"):
        stream.push(SPEECH[None])
    assert len(begun) < 5  # of 70
    with pytest.raises(UsageError, match="ended"):
        stream.push(SPEECH[None])


@pytest.mark.parametrize("samples", [0, 1, 320, 321, 155_999, 156_000, 156_001])
def test_every_length_comes_back(samples, monkeypatch):
    monkeypatch.setattr("hac_cli.search.STEPS", 1)
    assert hac_cli.decode(hac_cli.encode(SPEECH[:samples], best=True), samples=samples).shape == (1, samples)
    assert hac_cli.encode(SPEECH[:samples], best=True).shape == hac_cli.encode(SPEECH[:samples]).shape


def test_silence_stays_silent():
    silence = np.zeros(60_000, np.float32)
    decoded = hac_cli.decode(hac_cli.encode(silence, best=True))
    assert 20 * np.log10(np.sqrt(np.mean(decoded**2)) + 1e-9) < -60


def test_it_is_not_for_live_audio_nor_for_another_engine():
    with pytest.raises(UsageError, match="--live or --best"):
        hac_cli.compress(io.BytesIO(), io.BytesIO(), live=True, best=True)
    for engine in ("torch", "torch:cuda"):
        with pytest.raises(UsageError, match="numpy alone"):
            searching_stream(engine=engine)
