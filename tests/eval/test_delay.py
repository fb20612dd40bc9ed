"""A codec's delay is found whether it keeps the waveform or not."""

import numpy as np
import pytest

from hac_cli.eval import delay
from hac_cli.eval.delay import Delay


def late(signal, samples):
    return np.pad(signal, (samples, 0)) if samples >= 0 else signal[-samples:]


@pytest.mark.parametrize("samples", [0, 1, 640, -300])
def test_delay_of_a_waveform_is_exact(speech, samples):
    decoded = late(speech, samples) + 0.01 * np.random.default_rng(1).standard_normal(len(speech) + samples)
    assert delay.find([delay.correlate(speech, decoded)]) == Delay(samples)


def test_delay_without_a_waveform_is_that_of_the_envelope(speech):
    """The sign of every sample by chance: loudness is all that is left."""
    signs = np.random.default_rng(1).choice([-1.0, 1.0], len(speech))
    found = delay.find([delay.correlate(speech, late(speech * signs, 480))])
    assert found.by == "envelope" and not found.keeps_waveform
    assert abs(found.samples - 480) < 24  # 1 ms


def test_one_delay_serves_all_clips(speech):
    """One clip in which something else is going on does not move it."""
    other = np.random.default_rng(1).standard_normal(24_000)
    clips = [(speech, late(speech, 100)), (speech[24_000:], late(speech[24_000:], 100)), (other, late(-other, 7))]
    assert delay.find([delay.correlate(*clip) for clip in clips]) == Delay(100)


@pytest.mark.parametrize("samples", [0, 100, -100])
@pytest.mark.parametrize("more", [0, 500, -500])
def test_removed_delay_leaves_what_both_share(speech, samples, more):
    decoded = late(speech, samples)
    decoded = np.pad(decoded, (0, more)) if more >= 0 else decoded[:more]
    original, decoded = Delay(samples).remove(speech, decoded)
    assert len(original) == len(decoded) > len(speech) - 700
    assert np.array_equal(original, decoded[: len(original)])


def test_no_clips_no_delay():
    assert delay.find([]) == Delay(0)
