"""Metrics against what is known beforehand: closed forms, published maxima, the papers' formulas written again."""

import importlib.util

import numpy as np
import pytest
import torch

from hac_cli.eval import SAMPLE_RATE, judges, metrics
from hac_cli.eval.metrics import MetricRefused

RANDOM = np.random.default_rng(2)
SIGNAL = RANDOM.standard_normal(24_000)

needs_pesq = pytest.mark.skipif(
    importlib.util.find_spec("pesq") is None, reason="NOT TESTED: PESQ; pip install '.[bench]' (needs a C compiler)"
)


def noisy(speech, decibels):
    noise = np.random.default_rng(3).standard_normal(len(speech))
    return speech + noise * np.linalg.norm(speech) / np.linalg.norm(noise) * 10 ** (-decibels / 20)


def test_si_sdr_is_the_ratio_that_was_mixed_and_knows_no_gain():
    noise = RANDOM.standard_normal(len(SIGNAL))
    noise -= SIGNAL * (noise @ SIGNAL) / (SIGNAL @ SIGNAL)
    noise *= np.linalg.norm(SIGNAL) / np.linalg.norm(noise) * 10 ** (-6 / 20)
    assert metrics.si_sdr(SIGNAL, SIGNAL + noise) == pytest.approx(6, abs=0.05)
    assert metrics.si_sdr(SIGNAL, 0.01 * (SIGNAL + noise)) == pytest.approx(6, abs=0.05)


def test_level_change_is_in_decibels():
    assert metrics.level_change(SIGNAL, SIGNAL / 2) == pytest.approx(-6.02, abs=0.01)


@needs_pesq
@pytest.mark.parametrize(("band", "most"), [("wb", (-1.3669, 3.8224)), ("nb", (-1.4945, 4.6607))])
def test_pesq_of_the_original_is_the_most_that_the_recommendation_maps_to(speech, band, most):
    """P.862.1 and P.862.2 map the raw score x to 0.999 + 4 / (1 + exp(ax + b)); the best raw score is 4.5."""
    a, b = most
    highest = 0.999 + 4 / (1 + np.exp(a * 4.5 + b))
    assert metrics.pesq(speech, speech, band) == pytest.approx(highest, abs=0.001)
    assert 1 < metrics.pesq(speech, noisy(speech, 0), band) < metrics.pesq(speech, noisy(speech, 15), band) < highest


def stoi_by_the_paper(original, decoded):
    """Taal et al., 2011, equations 1 to 6, on signals at 10 kHz without silent frames."""
    window = np.hanning(258)[1:-1]
    frames = [np.lib.stride_tricks.sliding_window_view(s, 256)[::128] * window for s in (original, decoded)]
    power = [np.abs(np.fft.rfft(frame, 512)) ** 2 for frame in frames]
    hertz = np.linspace(0, 5000, 257)
    centres = 150 * 2 ** (np.arange(15) / 3)

    def nearest(frequency):
        return int(np.argmin((hertz - frequency) ** 2))

    edges = [(nearest(centre * 2 ** (-1 / 6)), nearest(centre * 2 ** (1 / 6))) for centre in centres]
    bands = [np.sqrt([p[:, low:high].sum(1) for low, high in edges]) for p in power]
    values = []
    for end in range(30, bands[0].shape[1] + 1):
        for x, y in zip(bands[0][:, end - 30 : end], bands[1][:, end - 30 : end], strict=True):
            scaled = y * np.linalg.norm(x) / (np.linalg.norm(y) + 1e-15)
            clipped = np.minimum(scaled, x * (1 + 10 ** (15 / 20)))
            values.append(np.corrcoef(x, clipped)[0, 1])
    return np.mean(values)


def test_stoi_follows_the_paper():
    """On modulated noise, which has no silent frames to be taken out, and which is the same at any rate."""
    import soxr

    loud = 1 + 0.5 * np.sin(2 * np.pi * 4 * np.arange(3 * 10_000) / 10_000)
    original = RANDOM.standard_normal(len(loud)) * loud
    decoded = original + 0.7 * RANDOM.standard_normal(len(loud))
    at_24k = [soxr.resample(signal, 10_000, SAMPLE_RATE) for signal in (original, decoded)]
    assert metrics.stoi(*at_24k) == pytest.approx(stoi_by_the_paper(original, decoded), abs=0.01)


def test_estoi_falls_with_noise(speech):
    scores = [metrics.stoi(speech, noisy(speech, decibels), extended=True) for decibels in (40, 10, 0)]
    assert 0.97 < scores[0] < 1 and scores[0] > scores[1] > scores[2] > 0


def test_mel_distance_of_a_change_of_level_is_that_change():
    assert metrics.mel_distance(SIGNAL, SIGNAL / 10) == pytest.approx(1, abs=1e-6)
    assert metrics.mel_distance(SIGNAL, SIGNAL) == 0


def test_mel_spectrogram_is_that_of_a_stft_by_torch_and_slaneys_filters(speech):
    """A tone in the middle of a filter, and the sum over all filters of unit area."""
    taper = torch.hann_window(1024, dtype=torch.float64)
    signal = torch.from_numpy(speech.astype(np.float64))
    stft = torch.stft(signal, 1024, 256, window=taper, center=False, return_complex=True).abs().numpy().T
    assert np.allclose(metrics.magnitudes(speech.astype(np.float64)), stft)
    tone = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000)  # 15 on Slaney's scale, which ends at 51.16...
    place = 15 / ((15 + 27 * np.log(12) / np.log(6.4)) / 81) - 1
    assert metrics.mel_spectrogram(tone).mean(0).argmax() in (int(place), int(place) + 1)
    area = metrics.mel_spectrogram(tone).mean(0).sum() / metrics.magnitudes(tone).mean(0).sum()
    assert area == pytest.approx(1 / (200 / 3 * (15 + 27 * np.log(12) / np.log(6.4)) / 81), rel=0.05)


@pytest.mark.parametrize("metric", metrics.STANDARD, ids=lambda metric: metric.key)
@pytest.mark.parametrize("what", ["silence", "50 ms", "nothing"])
def test_what_can_not_be_judged_is_refused(metric, what, speech):
    if metric.package and not importlib.util.find_spec(metric.package):
        pytest.skip(f"NOT TESTED: {metric.label}; pip install '.[bench]'")
    if what == "50 ms" and metric.key in ("si_sdr", "mel"):
        assert np.isfinite(metric.measure(speech[:1200], speech[:1200]))
    elif what == "silence" and metric.key == "mel":
        assert metric.measure(np.zeros(24_000), np.zeros(24_000)) == 0
    else:
        signal = {"silence": np.zeros(24_000), "50 ms": speech[:1200], "nothing": speech[:0]}[what]
        with pytest.raises(MetricRefused):
            metric.measure(signal, signal)


def test_a_decoder_that_gives_silence_is_judged_or_refused(speech):
    for metric in metrics.STANDARD:
        if metric.package is None or importlib.util.find_spec(metric.package):
            try:
                assert np.isfinite(metric.measure(speech, np.zeros_like(speech)))
            except MetricRefused as reason:
                assert str(reason)


def test_edit_distance_counts_every_kind_of_error():
    words = ["the", "cat", "sat", "on", "the", "mat"]
    assert judges.edit_distance(words, words) == 0
    assert judges.edit_distance(words, ["the", "cat", "on", "the", "mat"]) == 1
    assert judges.edit_distance(words, ["a", "the", "cat", "sat", "on", "that", "mat"]) == 2
    assert judges.edit_distance(words, []) == 6


@pytest.mark.slow
@pytest.mark.parametrize("name", judges.ON_REQUEST)
def test_judges_on_request_like_speech_better_without_noise(name, speech):
    metric = judges.ON_REQUEST[name]
    if not importlib.util.find_spec(metric.package):
        pytest.skip(f"NOT TESTED: {metric.label}; pip install '.[{metric.extra}]'")
    clean, worse = (metric.measure(speech, signal) for signal in (speech, noisy(speech, 0)))
    assert metric.gain(worse, clean) > 0
