"""Metrics against what is known beforehand."""

import numpy as np
import pytest

from hac_cli.eval import metrics

RANDOM = np.random.default_rng(2)
SIGNAL = RANDOM.standard_normal(24_000)


@pytest.mark.parametrize("delay", [0, 1, 640, -300])
def test_a_constant_delay_is_removed(delay):
    padded = np.pad(SIGNAL, 1000)
    moved = np.roll(padded, delay) + 0.1 * RANDOM.standard_normal(len(padded))
    reference, decoded = metrics.align(padded, moved, 1000)
    assert len(reference) == len(decoded) == len(padded) - abs(delay)
    assert metrics.si_sdr(reference, decoded) > 15


def test_si_sdr_is_the_ratio_that_was_mixed_and_knows_no_gain():
    noise = RANDOM.standard_normal(len(SIGNAL))
    noise -= SIGNAL * (noise @ SIGNAL) / (SIGNAL @ SIGNAL)
    noise *= np.linalg.norm(SIGNAL) / np.linalg.norm(noise) * 10 ** (-6 / 20)
    assert metrics.si_sdr(SIGNAL, SIGNAL + noise) == pytest.approx(6, abs=0.05)
    assert metrics.si_sdr(SIGNAL, 0.01 * (SIGNAL + noise)) == pytest.approx(6, abs=0.05)


def test_level_change_is_in_decibels():
    assert metrics.level_change(SIGNAL, SIGNAL / 2) == pytest.approx(-6.02, abs=0.01)
