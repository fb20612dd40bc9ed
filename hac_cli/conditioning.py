"""What audio goes through before it is coded, and behind the decoder: without rumble, of the tint and at the level that
the network knows best, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hac_cli.bandwidth import BandFilter, most_for
from hac_cli.container import CODEC_SAMPLE_RATE, TINT_TERMS, Gains
from hac_cli.levels import Leveller, LiveLeveller, Ramp
from hac_cli.rumble import LiveRumbleFilter, RumbleFilter
from hac_cli.segments import Numbers
from hac_cli.tint import TintFilter
from hac_cli.tinters import LiveTinter, Tinter

Samples = NDArray[np.float32]


class Flattener:
    """Audio ``[channels, samples]`` at the codec's rate, in pieces of any size, to the same without rumble and of
    nearly the usual tint, a few seconds later, ``live`` at once. ``hop`` and ``delay`` are the network's,
    ``sample_rate`` the recording's."""

    def __init__(
        self, channels: int, hop: int, delay: int, live: bool = False, sample_rate: int = CODEC_SAMPLE_RATE
    ) -> None:
        self._filter = LiveRumbleFilter(channels) if live else RumbleFilter(channels)
        self._tinter = (LiveTinter if live else Tinter)(channels, hop, delay, most_for(sample_rate))

    def push(self, audio: Samples) -> Samples:
        return self._tinter.push(self._filter.push(audio))

    def flush(self) -> Samples:
        """What is still due: the recording is over."""
        return np.concatenate([self._tinter.push(self._filter.flush()), self._tinter.flush()], 1)

    def numbers(self, frames: int) -> Numbers:
        """Tint and bandwidth of the next frames, ``[channels, frames, TINT_TERMS + 1]``."""
        return self._tinter.numbers(frames)


class Conditioner:
    """As ``Flattener``, to what the network is given of it: at one level as well."""

    def __init__(
        self, channels: int, hop: int, delay: int, live: bool = False, sample_rate: int = CODEC_SAMPLE_RATE
    ) -> None:
        self._flattener = Flattener(channels, hop, delay, live, sample_rate)
        self._leveller = (LiveLeveller if live else Leveller)(channels, hop, delay)

    def push(self, audio: Samples) -> Samples:
        return self._leveller.push(self._flattener.push(audio))

    def flush(self) -> Samples:
        """What is still due: the recording is over."""
        return np.concatenate([self._leveller.push(self._flattener.flush()), self._leveller.flush()], 1)

    def whole(self, audio: Samples) -> Samples:
        """All of a recording at once."""
        return np.concatenate([self.push(audio), self.flush()], 1)

    def gains(self, frames: int) -> Gains:
        """Those of the next frames, with their tint and bandwidth."""
        levels = self._leveller.numbers(frames)
        terms = np.concatenate([levels[:, None], self._flattener.numbers(frames).swapaxes(1, 2)], 1)
        return terms.reshape(terms.shape[0] * terms.shape[1], frames)


class Restorer:
    """Decoded audio ``[channels, samples]`` back to its own level, tint and bandwidth. ``delay``: samples of the first
    frame that are left out of it."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        self._channels = channels
        self._level = Ramp(channels, hop, delay)
        self._tint = TintFilter(channels, hop, delay, inverse=True)
        self._band = BandFilter(channels, hop, delay)
        self._rows = 1  # of gains, for each channel

    def add(self, gains: Gains) -> None:
        """Those of the next frames to be decoded."""
        self._rows = len(gains) // self._channels
        numbers = gains.reshape(self._channels, self._rows, gains.shape[1])
        self._level.add(numbers[:, 0])
        if self._rows > 1:
            self._tint.add(numbers[:, 1 : 1 + TINT_TERMS].swapaxes(1, 2))
        if self._rows > 1 + TINT_TERMS:
            self._band.add(numbers[:, 1 + TINT_TERMS])

    def restore(self, audio: Samples) -> Samples:
        """The next samples."""
        audio = audio / self._level.take(audio.shape[1])
        if self._rows > 1:
            audio = self._tint.apply(audio)
        return self._band.apply(audio) if self._rows > 1 + TINT_TERMS else audio
