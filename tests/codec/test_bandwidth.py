"""The bandwidth: recordings that end below 12 kHz come back without a hiss above."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

import hac_cli
from hac_cli import bandwidth, biquads
from hac_cli.bandwidth import BandFilter
from hac_cli.compiled import is_there
from hac_cli.container import BANDWIDTH_HERTZ, TINT_TERMS, Header, Reader
from hac_cli.eval.metrics import magnitudes
from hac_cli.predictors import for_header
from hac_cli.segments import SEGMENT_SAMPLES
from hac_cli.tinters import LIVE_LEAST, LiveTinter, Tinter, powers_of

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
    tinter = kind(1, HOP, DELAY)
    tinter.push(audio[None])
    tinter.flush()
    found = tinter.numbers((audio.size + DELAY) // HOP)[0, :, TINT_TERMS]
    before = 0 if kind is Tinter else round(2 * LIVE_LEAST * 0.32 * RATE / HOP)  # as half of it may be pauses
    assert least <= found[before:].min() <= found.max() <= most


def test_live_what_was_never_heard_is_limited_until_it_is():
    tinter = LiveTinter(1, HOP, DELAY)
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


@pytest.mark.parametrize(
    ("rate", "ends", "limited"), [(16_000, 8000, False), (16_000, 3400, True), (8000, 4000, False)]
)
def test_the_rate_of_a_recording_may_say_it_already(rate, ends, limited):
    _, _, gains = coded(soxr.resample(ending(ends), RATE, rate), rate)
    assert gains[1 + TINT_TERMS].any() == limited


def test_a_part_is_that_of_the_whole():
    audio = np.concatenate([ending(8000), SPEECH, ending(4000)])
    whole, _, gains = coded(audio)
    assert {0, *range(10, 13)} & {*gains[1 + TINT_TERMS].tolist()} and np.diff(gains[1 + TINT_TERMS]).any()
    for start in (5, 7, 12, 14):
        part, _, _ = coded(audio, start=start, duration=2)
        np.testing.assert_allclose(part, whole[start * RATE : (start + 2) * RATE], atol=2e-4)


@given(
    bandwidths=st.lists(st.tuples(st.sampled_from([0, 8, 21, 31]), st.integers(1, 9)), min_size=1, max_size=8),
    pieces=st.lists(st.integers(1, 900), max_size=20),
    added=st.integers(1, 20),
    skip=st.sampled_from([0, 100, DELAY]),
)
@example(bandwidths=[(8, 3), (21, 1), (31, 1), (8, 2), (0, 1), (8, 1)], pieces=[], added=20, skip=0)
def test_every_frame_has_its_bandwidth_and_one_fades_into_the_other(bandwidths, pieces, added, skip):
    """In pieces of any size; beside filters that hear all of it."""
    row = np.concatenate([np.full(frames, bandwidth, np.int8) for bandwidth, frames in bandwidths])
    numbers = np.stack([row, row[::-1]])
    assume(row.size * HOP > skip)
    audio = np.random.default_rng(0).uniform(-1, 1, (2, row.size * HOP - skip)).astype(np.float32)
    band = BandFilter(2, HOP, skip)
    for start in range(0, row.size, added):
        band.add(numbers[:, start : start + added])
    ends = [end for end in itertools.accumulate(pieces) if end < audio.shape[1]]
    filtered = np.concatenate([band.apply(piece) for piece in np.split(audio, ends, 1)], 1)
    meant = [plainly_filtered(*channel, skip) for channel in zip(numbers, audio, strict=True)]
    np.testing.assert_allclose(filtered, np.array(meant), atol=2e-5)


def plainly_filtered(row: np.ndarray, audio: np.ndarray, skip: int) -> np.ndarray:
    through = {b: sosfilt(butter(4, b * BANDWIDTH_HERTZ, fs=RATE, output="sos"), audio) for b in row.tolist() if b}
    through[0] = audio
    frames = np.arange(skip, skip + audio.size) // HOP
    rise = (np.arange(skip, skip + audio.size) % HOP + 1) / HOP
    old = np.array([through[row[max(0, f - 1)]][i] for i, f in enumerate(frames)])
    new = np.array([through[row[f]][i] for i, f in enumerate(frames)])
    return (1 - rise) * old + rise * new


def test_bands_are_as_wide_as_a_step():
    """White noise has as much in each of them."""
    powers = np.mean([*powers_of(np.random.default_rng(0).standard_normal((400, SEGMENT_SAMPLES)).astype("f4"))], 0)
    np.testing.assert_allclose(powers[-bandwidth.BANDS :], BANDWIDTH_HERTZ / (RATE / 2), rtol=0.1)
    assert bandwidth.LOWEST + bandwidth.BANDS == RATE / 2 / BANDWIDTH_HERTZ
