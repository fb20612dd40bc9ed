"""What is below speech is taken off before it is coded, and nothing else."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import hac_cli
from hac_cli import biquads
from hac_cli.compiled import is_there
from hac_cli.eval.metrics import stoi
from hac_cli.rumble import LiveRumbleFilter, RumbleFilter

RATE = 24_000
TIME = np.arange(4 * RATE) / RATE
SPEECH, _ = soundfile.read("samples/speech.wav", dtype="float32")


def filtered(audio: np.ndarray, kind: type, pieces: list[int] | None = None) -> np.ndarray:
    filter, parts, start = kind(len(audio)), [], 0
    for size in itertools.chain(pieces or [], itertools.repeat(9_999)):
        if start >= audio.shape[1]:
            break
        parts.append(filter.push(audio[:, start : start + size]))
        start += size
    return np.concatenate([*parts, filter.flush()], 1)


def sine(hertz: float) -> np.ndarray:
    return np.cos(2 * np.pi * hertz * TIME + 1).astype(np.float32)[None]


@pytest.mark.parametrize(("hertz", "decibels"), [(0, -80), (5, -40), (20, -40), (43, -40), (50, -20), (60, -6)])
def test_what_is_low_is_taken_off(hertz, decibels):
    inside = slice(RATE // 2, -RATE // 2)
    left = filtered(sine(hertz), RumbleFilter)[0, inside]
    before = sine(hertz)[0, inside]
    assert 20 * np.log10(np.abs(left).max() / np.abs(before).max()) < decibels + 0.2


@pytest.mark.parametrize("hertz", [77, 100, 150, 240, 300, 360, 440, 3000, 11_000])
def test_nothing_else_is(hertz):
    inside = slice(RATE // 2, -RATE // 2)
    np.testing.assert_allclose(filtered(sine(hertz), RumbleFilter)[0, inside], sine(hertz)[0, inside], atol=0.003)


@pytest.mark.parametrize("kind", [RumbleFilter, LiveRumbleFilter])
@given(pieces=st.lists(st.integers(1, 30_000), max_size=20), samples=st.integers(1, 100_000))
def test_pieces_do_not_matter(kind, pieces, samples):
    audio = np.random.default_rng(samples).uniform(-1, 1, (2, samples)).astype(np.float32)
    whole = filtered(audio, kind)
    assert whole.shape == audio.shape
    np.testing.assert_array_equal(filtered(audio, kind, pieces), whole)


@pytest.mark.parametrize("kind", [RumbleFilter, LiveRumbleFilter])
def test_an_offset_is_gone_from_the_first_sample_to_the_last(kind):
    for samples in (1, 700, 20_000):
        assert np.abs(filtered(np.full((2, samples), 0.3, np.float32), kind)).max() < 1e-6


def test_live_nothing_waits():
    filter = LiveRumbleFilter(2)
    sizes = [1, 959, 960, 5000]
    assert [filter.push(np.ones((2, size), np.float32)).shape[1] for size in sizes] == sizes


@pytest.mark.parametrize(("hertz", "least", "most"), [(0, -200, -80), (20, -40, -36), (60, -3.1, -2.9), (100, -0.2, 0)])
@pytest.mark.parametrize("compiled", [False, True])
def test_live_what_is_low_is_taken_off(hertz, least, most, compiled, monkeypatch):
    if compiled and not is_there():
        pytest.skip("the package was installed without a C compiler")
    monkeypatch.setattr(biquads, "run", biquads._compiled_run if compiled else biquads._plain_run)
    left = filtered(np.concatenate([sine(hertz), sine(1000)]), LiveRumbleFilter)[:, RATE:]
    change = 20 * np.log10(np.abs(left).max(1) / np.abs(np.concatenate([sine(hertz), sine(1000)])).max(1) + 1e-9)
    assert least < change[0] < most and abs(change[1]) < 0.05


def test_speech_is_as_clear_with_rumble_and_with_an_offset():
    time = np.arange(SPEECH.size) / RATE
    wind = 0.1 * sum(np.sin(2 * np.pi * hertz * time + hertz) for hertz in (12.3, 17.1, 25.7, 31.0, 38.2))
    clean, live = stoi(SPEECH, coded(SPEECH)), stoi(SPEECH, coded(SPEECH, live=True))
    assert stoi(SPEECH, coded(SPEECH + wind)) > clean - 0.02
    assert stoi(SPEECH, coded(SPEECH + 0.2)) > clean - 0.02
    assert stoi(SPEECH, coded(SPEECH + 0.2, live=True)) > live - 0.02
    assert stoi(SPEECH, coded(SPEECH + wind, live=True)) > live - 0.03


def coded(audio: np.ndarray, live: bool = False) -> np.ndarray:
    source, file, decoded = io.BytesIO(audio.astype(np.float32).tobytes()), io.BytesIO(), io.BytesIO()
    hac_cli.compress(source, file, raw=f"{RATE}:1:f32", live=live)
    file.seek(0)
    hac_cli.decompress(file, decoded, raw=f"{RATE}:1:f32")
    return np.frombuffer(decoded.getvalue(), np.float32)
