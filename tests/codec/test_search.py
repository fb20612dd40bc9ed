"""Analysis by synthesis: the tokens that searches find."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hac_cli
from hac_cli import search
from hac_cli.codec import EFFORTS, is_searched, searching_stream
from hac_cli.errors import UsageError
from hac_cli.eval import metrics

SPEECH, _ = soundfile.read(Path(__file__).parents[2] / "samples" / "speech.wav", dtype="float32")


def short(monkeypatch, seconds):
    """Searches that decide less at a time."""
    monkeypatch.setitem(search.EFFORTS, "normal", search.Effort(2, 0.8, seconds))


@pytest.mark.slow
def test_more_effort_sounds_better():
    """By measures other than those that were looked at, and by large steps."""
    speech = SPEECH[:120_000]
    given, gains = hac_cli.condition(speech)
    tokens = (hac_cli.encode(given, effort=effort) for effort in EFFORTS)
    fast, normal, best = (hac_cli.decode(coded, gains=gains, samples=len(speech))[0] for coded in tokens)
    for less, more in ((fast, normal), (normal, best)):
        assert metrics.stoi(speech, more) > metrics.stoi(speech, less) + 0.005
        assert metrics.stoi(speech, more, extended=True) > metrics.stoi(speech, less, extended=True) + 0.008
        assert metrics.mel_distance(speech, more) < 0.98 * metrics.mel_distance(speech, less)
    assert metrics.stoi(speech, best) > metrics.stoi(speech, fast) + 0.02
    assert metrics.stoi(speech, best, extended=True) > metrics.stoi(speech, fast, extended=True) + 0.03
    assert metrics.mel_distance(speech, best) < 0.95 * metrics.mel_distance(speech, fast)


def test_pieces_of_any_size_give_the_same_tokens(monkeypatch):
    short(monkeypatch, 1.0)
    speech = np.stack([SPEECH[:100_000], SPEECH[20_000:120_000]])
    stream = searching_stream(2, threads=1)
    sizes = np.random.default_rng(0).integers(1, 20_000, 30).cumsum()
    parts = [stream.push(piece) for piece in np.split(speech, sizes[sizes < speech.shape[1]], axis=1)]
    tokens = np.concatenate([*parts, stream.flush()], 1)
    assert np.array_equal(tokens, hac_cli.encode(speech))
    assert sum(part.shape[1] for part in parts) == 225  # 3 s of the 4.2 that were there
    assert not np.array_equal(tokens, hac_cli.encode(speech, effort="fast"))


def test_any_number_of_threads_gives_the_same_tokens(monkeypatch):
    short(monkeypatch, 0.5)
    found = [hac_cli.encode(SPEECH, threads=threads) for threads in (1, 2, 5)]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_what_fails_is_told_and_no_other_search_begins(monkeypatch):
    begun = []

    def fail(*_):
        begun.append(1)
        raise RuntimeError("no memory")

    monkeypatch.setattr("hac_cli.search_stream.best_latents", fail)
    short(monkeypatch, 0.1)
    stream = searching_stream()
    with contextlib.closing(stream), pytest.raises(RuntimeError, match="no memory"):
        stream.push(SPEECH[None])
    assert len(begun) < 5  # of 70
    with pytest.raises(UsageError, match="ended"):
        stream.push(SPEECH[None])


@pytest.mark.parametrize("samples", [0, 1, 320, 321, 155_999, 156_000, 156_001])
def test_every_length_comes_back(samples):
    assert hac_cli.decode(hac_cli.encode(SPEECH[:samples]), samples=samples).shape == (1, samples)
    assert hac_cli.encode(SPEECH[:samples]).shape == hac_cli.encode(SPEECH[:samples], effort="fast").shape


def test_silence_stays_silent():
    silence = np.zeros(60_000, np.float32)
    decoded = hac_cli.decode(hac_cli.encode(silence))
    assert 20 * np.log10(np.sqrt(np.mean(decoded**2)) + 1e-9) < -60


def test_live_audio_and_torch_have_no_search():
    assert [is_searched(effort) for effort in EFFORTS] == [False, True, True]
    assert not is_searched("normal", live=True) and not is_searched("normal", "torch")
    with pytest.raises(UsageError, match="--live or --best"):
        hac_cli.compress(io.BytesIO(), io.BytesIO(), live=True, effort="best")
    for engine in ("torch", "torch:cuda"):
        with pytest.raises(UsageError, match="numpy alone"):
            hac_cli.encode(SPEECH, engine=engine, effort="best")
    with pytest.raises(UsageError, match="no effort 'good'; use one of fast, normal, best"):
        hac_cli.encode(SPEECH, effort="good")
