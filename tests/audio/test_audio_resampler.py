"""Streaming resampling: exact length, no shift, the same for any cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hac_cli.audio import Resampler, resampled_length

RATES = [8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000]
PAIRS = [(rate, 24000) for rate in (*RATES, 8001, 191999)] + [(24000, rate) for rate in (*RATES, 8001, 191999)]


def noise(channels: int, samples: int) -> np.ndarray:
    return np.random.default_rng(samples).uniform(-1, 1, (channels, samples)).astype(np.float32)


def resample(audio: np.ndarray, from_rate: int, to_rate: int, sizes: list[int] | None = None) -> np.ndarray:
    """All at once, or in blocks of the given sizes and then the rest."""
    resampler = Resampler(from_rate, to_rate, len(audio))
    blocks = np.split(audio, np.minimum(np.cumsum(sizes or []), audio.shape[1]).astype(int), axis=1)
    return np.concatenate([*(resampler.process(block) for block in blocks), resampler.flush()], axis=1)


def tone(frequency: float, sample_rate: int, samples: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(samples) / sample_rate))[None].astype(np.float32)


@given(st.integers(0, 10**12), st.sampled_from(PAIRS))
def test_length_is_rounded_up_and_the_way_back_is_never_short(samples: int, pair: tuple[int, int]) -> None:
    length = resampled_length(samples, *pair)
    assert (length - 1) * pair[0] < samples * pair[1] <= length * pair[0]
    assert resampled_length(length, *reversed(pair)) >= samples


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_exactly_the_promised_length(from_rate: int, to_rate: int) -> None:
    for samples in (*range(12), 100, 1001, from_rate // 3 + 1):
        result = resample(noise(1, samples), from_rate, to_rate)
        assert result.shape == (1, resampled_length(samples, from_rate, to_rate)) and result.dtype == np.float32


@pytest.mark.parametrize("pair", [(48000, 24000), (44100, 24000), (16000, 24000), (8001, 24000), (24000, 44100)])
@settings(max_examples=8)
@given(sizes=st.lists(st.integers(0, 5000), max_size=30), channels=st.sampled_from([1, 2, 6, 8]))
def test_any_cut_gives_the_same_samples(pair: tuple[int, int], sizes: list[int], channels: int) -> None:
    audio = noise(channels, 20000)
    np.testing.assert_array_equal(resample(audio, *pair, sizes), resample(audio, *pair))


@pytest.mark.parametrize("pair", [(48000, 24000), (44100, 24000), (24000, 44100)])
def test_one_sample_a_call_gives_the_same_samples(pair: tuple[int, int]) -> None:
    audio = noise(2, 4000)
    np.testing.assert_array_equal(resample(audio, *pair, [1] * 3999), resample(audio, *pair))


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_a_tone_stays_where_it_was(from_rate: int, to_rate: int) -> None:
    samples = from_rate // 4
    result = resample(tone(440, from_rate, samples), from_rate, to_rate)
    expected = tone(440, to_rate, result.shape[1])
    inner = slice(to_rate // 50, -to_rate // 50)
    # half a sample of shift at 8000 Hz would be an error of 0.08
    np.testing.assert_allclose(result[:, inner], expected[:, inner], atol=2e-4)


@pytest.mark.parametrize("sample_rate", [44100, 48000, 96000])
def test_there_and_back_is_aligned_to_the_sample(sample_rate: int) -> None:
    audio = tone(1000, sample_rate, sample_rate // 2) + tone(7919, sample_rate, sample_rate // 2)
    back = resample(resample(audio, sample_rate, 24000), 24000, sample_rate)[:, : audio.shape[1]]
    assert back.shape == audio.shape
    inner = slice(2000, -2000)
    np.testing.assert_allclose(back[:, inner], audio[:, inner], atol=1e-3)


def test_what_lies_above_the_new_range_is_removed() -> None:
    assert np.abs(resample(tone(15000, 48000, 24000), 48000, 24000)[:, 500:-500]).max() < 1e-4


def test_channels_do_not_mix() -> None:
    audio = noise(3, 5000)
    together = resample(audio, 44100, 24000)
    for channel in range(3):
        np.testing.assert_array_equal(together[channel], resample(audio[channel : channel + 1], 44100, 24000)[0])


def test_equal_rates_pass_blocks_through() -> None:
    resampler = Resampler(24000, 24000, 2)
    block = noise(2, 100)
    assert resampler.process(block) is block
    assert resampler.flush().shape == (2, 0)


@pytest.mark.parametrize(
    ("from_rate", "to_rate", "milliseconds"),
    [
        (48000, 24000, 39),
        (44100, 24000, 39),
        (16000, 24000, 37),
        (8000, 24000, 73),
        (24000, 48000, 39),
        (24000, 44100, 39),
    ],
)
def test_the_lag_is_what_the_documentation_says(from_rate: int, to_rate: int, milliseconds: int) -> None:
    """Measured with a second of silence, fed a millisecond at a time."""
    resampler = Resampler(from_rate, to_rate, 1)
    step = np.zeros((1, from_rate // 1000), np.float32)
    heard, lag = 0, 0.0
    for count in range(1, 1001):
        heard += resampler.process(step).shape[1]
        lag = max(lag, count * step.shape[1] / from_rate - heard / to_rate)
    assert lag * 1000 == pytest.approx(milliseconds, abs=1.5)


def test_a_long_stream_neither_drifts_nor_loses_samples() -> None:
    resampler = Resampler(44100, 24000, 1)
    block = np.zeros((1, 44100 * 20), np.float32)
    made = sum(resampler.process(block).shape[1] for _ in range(15))
    assert made + resampler.flush().shape[1] == 24000 * 300
