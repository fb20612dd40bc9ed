"""How sure a mean is: bootstrap intervals (Efron, 1979), seeded, so that the same scores give the same interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 0


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % percentile bootstrap interval; those are None for a single value."""

    mean: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The mean over clips, which are what is drawn again; None if there are none."""
    if not values:
        return None
    sample = np.asarray(values, np.float64)
    if len(sample) == 1:
        return Interval(float(sample[0]), None, None)
    draws = np.random.default_rng(_SEED).integers(0, len(sample), (RESAMPLES, len(sample)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(sample[draws].mean(1), [tail, 1 - tail])
    return Interval(float(sample.mean()), float(low), float(high))
