"""The bandwidth: recordings that end below 12 kHz come back without a hiss above."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

import hac_cli
from hac_cli import biquads
from hac_cli.bandwidth import BandFilter
from hac_cli.compiled import is_there
from hac_cli.container import BANDWIDTH_HERTZ, TINT_TERMS, Header, Reader
from hac_cli.eval.metrics import magnitudes
from hac_cli.predictors import for_header
from hac_cli.tinters import LIVE_LEAST, LiveTinter, Tinter

RATE, HOP, DELAY = 24_000, 320, 960
SPEECH, _ = soundfile.read("samples/speech.wav", dtype="float32")


def ending(hertz: float, audio: np.ndarray = SPEECH) -> np.ndarray:
    """With nothing above."""
    spectrum = np.fft.rfft(audio)
    spectrum[np.fft.rfftfreq(audio.size, 1 / RATE) > hertz] = 0
    return np.fft.irfft(spectrum, audio.size).astype(np.float32)


def power_above(hertz: float, audio: np.ndarray) -> float:
    """dB of all of it."""
    powers = np.square(magnitudes(audio)).sum(0)
    return float(10 * np.log10(powers[np.linspace(0, RATE / 2, powers.size) > hertz].sum() / powers.sum() + 1e-12))


def coded(audio: np.ndarray, rate: int = RATE, **decoding: float) -> tuple[np.ndarray, Header, np.ndarray]:
    """What comes back, the header, and the gains."""
    source, file, sink = io.BytesIO(), io.BytesIO(), io.BytesIO()
    soundfile.write(source, audio, rate, "FLOAT", format="WAV")
    source.seek(0)
    hac_cli.compress(source, file)
    file.seek(0)
    reader = Reader(file, predictor=for_header)
    gains = np.concatenate([block.gains for block in reader], 1)
    file.seek(0)
    hac_cli.decompress(file, sink, raw=f"{rate}:1:f32", **decoding)
    return np.frombuffer(sink.getvalue(), "<f4"), reader.header, gains


@pytest.mark.parametrize("compiled", [False, True])
def test_the_low_pass_is_butterworths(compiled):
    if compiled and not is_there():
        pytest.skip("the package was installed without a C compiler")
    run = biquads._compiled_run if compiled else biquads._plain_run
    out = np.random.default_rng(0).uniform(-1, 1, 500)
    meant = sosfilt(butter(4, 8250, fs=RATE, output="sos"), out)
    run(biquads.low_pass(8250 / RATE), np.zeros((2, 2)), out)
    np.testing.assert_allclose(out, meant, atol=1e-12)


@pytest.mark.parametrize("kind", [Tinter, LiveTinter])
@pytest.mark.parametrize(("ends", "least", "most"), [(12_000, 0, 0), (8000, 21, 23), (4000, 10, 12)])
def test_where_a_recording_ends_is_found(kind, ends, least, most):
    audio = np.tile(ending(ends), 3)
    tinter = kind(1, HOP, DELAY, True)
    tinter.push(audio[None])
    tinter.flush()
    found = tinter.numbers((audio.size + DELAY) // HOP)[0, :, TINT_TERMS]
    before = 0 if kind is Tinter else round(2 * LIVE_LEAST * 0.32 * RATE / HOP)  # as half of it may be pauses
    assert least <= found[before:].min() <= found.max() <= most


def test_live_what_was_never_heard_is_limited_until_it_is():
    tinter = LiveTinter(1, HOP, DELAY, True)
    audio = np.concatenate([np.tile(ending(8000), 3), SPEECH])
    tinter.push(audio[None])
    found = tinter.numbers(audio.size // HOP)[0, :, TINT_TERMS]
    assert found[0] == 0 and 21 <= found[3 * SPEECH.size // HOP] <= 23 and found[-1] == 0


def test_nothing_is_added_above_and_nothing_lost_below():
    limited, header, gains = coded(ending(8000))
    assert header.band_limited and gains[1 + TINT_TERMS].min() >= 21
    assert power_above(9500, limited) < -60
    whole, _, gains = coded(SPEECH)
    assert not gains[1 + TINT_TERMS].any()
    assert power_above(9500, whole) > -40
    below = [np.square(magnitudes(ending(6000, audio))).sum() for audio in (limited, whole)]
    assert abs(10 * np.log10(below[0] / below[1])) < 1


def test_the_rate_of_a_recording_may_say_it_already():
    decoded, header, gains = coded(SPEECH[: 2 * RATE], 16_000)
    assert not header.band_limited and len(gains) == 1 + TINT_TERMS and decoded.size == 2 * RATE


def test_a_part_is_that_of_the_whole():
    audio = np.tile(ending(8000), 2)
    whole, _, _ = coded(audio)
    part, _, _ = coded(audio, start=7, duration=2)
    np.testing.assert_allclose(part, whole[7 * RATE : 9 * RATE], atol=2e-4)


@given(
    bandwidths=st.lists(st.tuples(st.sampled_from([0, 8, 21, 31]), st.integers(1, 9)), min_size=1, max_size=8),
    pieces=st.lists(st.integers(1, 900), max_size=20),
    added=st.integers(1, 20),
    skip=st.sampled_from([0, 100, DELAY]),
)
def test_pieces_do_not_matter_and_changes_are_not_heard(bandwidths, pieces, added, skip):
    """A low tone goes through, a little later, and no change of the bandwidth lets it jump."""
    row = np.concatenate([np.full(frames, bandwidth, np.int8) for bandwidth, frames in bandwidths])
    numbers = np.stack([row, row[::-1]])
    audio = np.sin(2 * np.pi * 200 / RATE * np.arange(max(0, row.size * HOP - skip))) * np.ones((2, 1))

    def filtered(ends: list[int], adds: int) -> np.ndarray:
        band = BandFilter(2, HOP, skip)
        for start in range(0, row.size, adds):
            band.add(numbers[:, start : start + adds])
        return np.concatenate([band.apply(piece) for piece in np.split(audio.astype(np.float32), ends, 1)], 1)

    whole = filtered([], row.size)
    ends = [end for end in itertools.accumulate(pieces) if end < audio.shape[1]]
    np.testing.assert_allclose(filtered(ends, added), whole, atol=1e-6)
    step = 2 * np.pi * 200 / RATE  # from one sample to the next, at most
    assert np.abs(whole - audio).max(initial=0) < 4 * step
    assert np.abs(np.diff(whole)).max(initial=0) < 1.5 * step


def test_a_band_has_the_width_of_a_step():
    assert RATE / 2 / BANDWIDTH_HERTZ == 32
