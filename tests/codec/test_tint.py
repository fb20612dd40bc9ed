"""Recordings that are brighter or darker than most are coded at nearly the usual tint, and come back with their own."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import hac_cli
from hac_cli import tint
from hac_cli.conditioning import Conditioner, Restorer
from hac_cli.container import MOST_TINT, TINT_TERMS, Reader
from hac_cli.container.gains import gains_of_text
from hac_cli.eval.metrics import mel_distance, stoi
from hac_cli.predictors import for_header
from hac_cli.segments import SEGMENT_SAMPLES
from hac_cli.tint import ORDER, TintFilter, coefficients, cosines
from hac_cli.tinters import AHEAD, MOST, LiveTinter, Tinter, powers_of, spoken, wanted_tint

RATE, HOP, DELAY = 24_000, 320, 960
SPEECH, _ = soundfile.read("samples/speech.wav", dtype="float32")


def coloured(shape: str) -> np.ndarray:
    """The speech through another room or microphone, as loud as before."""
    spectrum, hertz = np.fft.rfft(SPEECH), np.fft.rfftfreq(SPEECH.size, 1 / RATE)
    tilt = 1 / np.sqrt(1 + (hertz / 700) ** 2)
    gain = {"dark": tilt, "bright": 1 / tilt.clip(0.2), "boomy": 1 + 2 * (hertz < 250), "as it is": 1 + 0 * hertz}
    audio = np.fft.irfft(spectrum * gain[shape], SPEECH.size)
    return (audio * np.sqrt(np.mean(SPEECH**2) / np.mean(audio**2))).astype(np.float32)


def response(curve: tuple[float, ...], hertz: np.ndarray) -> np.ndarray:
    """dB."""
    turns = np.exp(-2j * np.pi * np.arange(ORDER + 1)[:, None] * hertz / RATE)
    return 20 * np.log10(np.abs(np.concatenate([[1], coefficients(curve)]) @ turns))


def terms_of(audio: np.ndarray) -> np.ndarray:
    whole = len(audio) // SEGMENT_SAMPLES * SEGMENT_SAMPLES
    return wanted_tint(spoken(list(powers_of(audio[:whole].reshape(-1, SEGMENT_SAMPLES)))))


@pytest.mark.parametrize("curve", [(6.0, 0, 0, 0), (-6.0, 0, 0, 0), (0, 4.0, -3.0, 2.0), (-9.0, 5.0, 2.0, -2.0)])
def test_the_filter_has_the_response_of_the_curve(curve):
    """But for an offset, and for low frequencies, where its order tells little apart."""
    hertz = np.geomspace(600, 9000, 30)
    meant = np.array(curve) @ cosines(np.log(hertz / 60) / np.log(200))
    offsets = response(curve, hertz) - meant
    assert np.ptp(offsets) < 2 and np.ptp(meant) > 4


@pytest.mark.parametrize("terms", [*itertools.product((-MOST_TINT, MOST_TINT), repeat=TINT_TERMS)])
def test_whatever_a_file_says_the_inverse_is_stable(terms):
    poles = np.roots(np.concatenate([[1], coefficients(tuple(map(float, terms)))]))
    assert np.abs(poles).max() < 1


@given(
    tints=st.lists(st.lists(st.integers(-MOST, MOST), min_size=4, max_size=4), min_size=2, max_size=8),
    frames=st.integers(1, 40),
    pieces=st.lists(st.integers(1, 9000), max_size=8),
)
def test_what_the_filter_does_is_undone_in_pieces_of_any_size(tints, frames, pieces):
    numbers = np.repeat(np.array([tints, tints[::-1]], np.int8), frames, 1)
    audio = np.random.default_rng(0).uniform(-1, 1, (2, numbers.shape[1] * HOP - DELAY % HOP)).astype(np.float32)
    there, back = TintFilter(2, HOP, 0), TintFilter(2, HOP, 0, inverse=True)
    there.add(numbers), back.add(numbers[:, :1]), back.add(numbers[:, 1:])
    tinted = there.apply(audio)
    ends = [end for end in itertools.accumulate(pieces) if end < audio.shape[1]]
    restored = np.concatenate([back.apply(piece) for piece in np.split(tinted, ends, 1)], 1)
    np.testing.assert_allclose(restored, audio, atol=1e-4)
    assert np.abs(tinted - audio).max() > 0.01 or not np.any(tints)


@pytest.mark.skipif(tint._apply is tint._plain_apply, reason="installed without a C compiler")
@pytest.mark.parametrize("inverse", [False, True])
def test_compiled_and_plain_filters_do_the_same(inverse):
    known = np.random.default_rng(0).uniform(-1, 1, 3000)
    plain, compiled = known.copy(), known.copy()
    for function, out in ((tint._plain_apply, plain), (tint._compiled_apply, compiled)):
        function(coefficients((5.0, -3.0, 2.0, 1.0)), known, out, ORDER + 3, 2900, inverse)
    np.testing.assert_allclose(compiled, plain, atol=1e-12)
    assert np.abs(plain - known).max() > 0.1


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("shape", ["dark", "bright", "boomy"])
def test_unusual_recordings_come_near_the_usual_tint(shape, live):
    audio = np.tile(coloured(shape), 3)
    conditioned = Conditioner(1, HOP, DELAY, live).whole(audio[None])[0]
    before, after = (abs(terms_of(x[-SPEECH.size :])[0]) for x in (audio, conditioned))
    assert before > 1.5 and after < 0.6 * before


@pytest.mark.parametrize("shape", ["dark", "boomy"])
def test_unusual_recordings_sound_as_good_as_usual_ones(shape):
    def distance(audio: np.ndarray) -> tuple[float, float]:
        conditioned, gains = hac_cli.condition(audio, model="v2-150")
        tokens = hac_cli.encode(conditioned, model="v2-150")
        decoded = hac_cli.decode(tokens, gains=gains, samples=len(audio), model="v2-150")[0]
        return stoi(audio, decoded), mel_distance(audio, decoded)

    usual, unusual = distance(SPEECH), distance(coloured(shape))
    assert unusual[0] > usual[0] - 0.04
    assert unusual[1] < 1.35 * usual[1]


@pytest.mark.parametrize("kind", [Tinter, LiveTinter])
@given(pieces=st.lists(st.integers(1, 30_000), max_size=12))
def test_pieces_do_not_matter_and_nothing_is_lost(kind, pieces):
    audio = np.stack([coloured("dark"), coloured("bright")])

    def tinted(sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
        tinter, ends = kind(2, HOP, DELAY), [end for end in itertools.accumulate(sizes) if end < audio.shape[1]]
        parts = [tinter.push(piece) for piece in np.split(audio, ends, 1)]
        return np.concatenate([*parts, tinter.flush()], 1), tinter.numbers(-(-(audio.shape[1] + DELAY) // HOP))

    whole, tints = tinted([])
    other, others = tinted(pieces)
    np.testing.assert_array_equal(other, whole)
    np.testing.assert_array_equal(others, tints)
    assert tints[0].any() and tints[1].any() and not np.array_equal(tints[0], tints[1])
    back = TintFilter(2, HOP, DELAY, inverse=True)
    back.add(tints)
    np.testing.assert_allclose(back.apply(whole), audio, atol=1e-5)


def test_little_waits_in_a_file_and_nothing_live():
    tinter, given = Tinter(1, HOP, DELAY), 0
    for start in range(0, 10 * RATE, 5000):
        given += tinter.push(np.ones((1, 5000), np.float32)).shape[1]
        assert start + 5000 - given < (AHEAD + 2) * SEGMENT_SAMPLES
    assert given + tinter.flush().shape[1] == start + 5000
    live = LiveTinter(1, HOP, DELAY)
    sizes = [320, 960, 319, 2, 7040]
    assert [live.push(np.ones((1, size), np.float32)).shape[1] for size in sizes] == [320, 960, 0, 320, 7040]


@pytest.mark.parametrize("kind", [Tinter, LiveTinter])
def test_silence_has_no_tint_and_a_tone_a_limited_one(kind):
    time = np.arange(6 * RATE) / RATE
    for audio, most in ((np.zeros(time.size), 0), (np.sin(2 * np.pi * 9000 * time) / 2, MOST), (1e-5 * time, 0)):
        tinter = kind(1, HOP, DELAY)
        out = np.concatenate([tinter.push(audio[None].astype(np.float32)), tinter.flush()], 1)
        assert np.isfinite(out).all() and out.shape[1] == time.size
        assert np.abs(tinter.numbers(440)[..., :TINT_TERMS]).max() <= most


def test_a_file_says_its_tint_and_tokens_take_it_along():
    source, file = io.BytesIO(), io.BytesIO()
    soundfile.write(source, coloured("dark"), RATE, "FLOAT", format="WAV")
    source.seek(0)
    hac_cli.compress(source, file, model="v2-150")
    file.seek(0)
    reader = Reader(file, predictor=for_header)
    gains = np.concatenate([block.gains for block in reader], 1)
    assert reader.header.tinted and gains.shape[0] == 2 + TINT_TERMS and gains[1:5].any()
    file.seek(0)
    stored, sink = hac_cli.read_tokens(file), io.BytesIO()
    np.testing.assert_array_equal(gains_of_text(stored.gains, 1, gains.shape[1]), gains)
    file.seek(0)
    hac_cli.decompress(file, sink, raw=f"{RATE}:1:f32")
    decoded = hac_cli.decode(stored.tokens, gains=stored.gains, samples=SPEECH.size, model="v2-150")[0]
    np.testing.assert_allclose(np.frombuffer(sink.getvalue(), np.float32), decoded, atol=1e-4)


def test_gains_of_files_from_before_have_no_tint():
    audio, old = np.ones((2, 4 * HOP), np.float32), Restorer(2, HOP, 0)
    old.add(np.array([[20, 20, 20, 20], [0, 0, 0, 0]], np.int8))
    np.testing.assert_allclose(old.restore(audio), np.stack([audio[0] / 10, audio[1]]))
