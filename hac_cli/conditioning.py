"""What audio goes through before it is coded: without rumble, and at the level that the network knows best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hac_cli.levels import Leveller, LiveLeveller
from hac_cli.rumble import LiveRumbleFilter, RumbleFilter

Samples = NDArray[np.float32]


class Conditioner:
    """Audio ``[channels, samples]`` at the codec's rate, in pieces of any size, to what the network is given of it, one
    to two seconds later, ``live`` at once. ``hop`` and ``delay`` are the network's."""

    def __init__(self, channels: int, hop: int, delay: int, live: bool = False) -> None:
        self._filter = LiveRumbleFilter(channels) if live else RumbleFilter(channels)
        self._leveller = LiveLeveller(channels, hop, delay) if live else Leveller(channels, hop, delay)
        self.gains = self._leveller.gains

    def push(self, audio: Samples) -> Samples:
        return self._leveller.push(self._filter.push(audio))

    def flush(self) -> Samples:
        """What is still due: the recording is over."""
        return np.concatenate([self._leveller.push(self._filter.flush()), self._leveller.flush()], 1)

    def whole(self, audio: Samples) -> Samples:
        """All of a recording at once."""
        return np.concatenate([self.push(audio), self.flush()], 1)
