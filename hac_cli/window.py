"""The part of a recording that is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import SupportsFloat

from hac_cli.errors import UsageError


@dataclass(frozen=True)
class Window:
    """The part of a recording that is wanted, in samples at its own rate; ``stop`` None: to the end."""

    start: int = 0
    stop: int | None = None

    @classmethod
    def of_seconds(cls, start: float, duration: float | None, sample_rate: int) -> Window:
        """Raises UsageError for times below 0, or no numbers."""
        for seconds in (start, duration or 0.0):
            if not isinstance(seconds, SupportsFloat) or not 0 <= seconds * sample_rate < math.inf:
                raise UsageError(f"start and duration must be numbers of seconds, not negative; not {seconds!r}")
        first = round(start * sample_rate)
        return cls(first, None if duration is None else first + round(duration * sample_rate))

    def later(self, samples: int) -> Window:
        return Window(self.start + samples, None if self.stop is None else self.stop + samples)

    def holds(self, sample: int) -> bool:
        return self.start <= sample and (self.stop is None or sample < self.stop)

    def samples(self, total: int | None) -> int | None:
        """How many samples of a recording of ``total`` are wanted, None if that can't be known."""
        ends = [end for end in (total, self.stop) if end is not None]
        return max(0, min(ends) - self.start) if total is not None else None
