"""What audio goes through before it is coded, and behind the decoder: without rumble, of the tint and at the level that
the network knows best, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hac_cli.container import Gains
from hac_cli.levels import Curve, Leveller, LiveLeveller
from hac_cli.rumble import LiveRumbleFilter, RumbleFilter
from hac_cli.tint import TintFilter
from hac_cli.tinters import LiveTinter, Tinter

Samples = NDArray[np.float32]


class Conditioner:
    """Audio ``[channels, samples]`` at the codec's rate, in pieces of any size, to what the network is given of it, a
    few seconds later, ``live`` at once; without ``tinted`` its tint stays. ``hop`` and ``delay`` are the network's."""

    def __init__(self, channels: int, hop: int, delay: int, live: bool = False, tinted: bool = True) -> None:
        layout = channels, hop, delay
        self._filter = LiveRumbleFilter(channels) if live else RumbleFilter(channels)
        self._tinter = (LiveTinter(*layout) if live else Tinter(*layout)) if tinted else None
        self._leveller = LiveLeveller(*layout) if live else Leveller(*layout)

    def push(self, audio: Samples) -> Samples:
        return self._leveller.push(self._tinted(self._filter.push(audio)))

    def flush(self) -> Samples:
        """What is still due: the recording is over."""
        rest = self._tinted(self._filter.flush())
        if self._tinter:
            rest = np.concatenate([rest, self._tinter.flush()], 1)
        return np.concatenate([self._leveller.push(rest), self._leveller.flush()], 1)

    def _tinted(self, audio: Samples) -> Samples:
        return self._tinter.push(audio) if self._tinter else audio

    def whole(self, audio: Samples) -> Samples:
        """All of a recording at once."""
        return np.concatenate([self.push(audio), self.flush()], 1)

    def gains(self, frames: int) -> Gains:
        """Those of the next frames, with their tint if there is one."""
        gains = self._leveller.numbers(frames)
        if not self._tinter:
            return gains
        terms = np.concatenate([gains[:, None], self._tinter.numbers(frames).swapaxes(1, 2)], 1)
        return terms.reshape(terms.shape[0] * terms.shape[1], frames)


class Restorer:
    """Decoded audio ``[channels, samples]`` back to its own level and tint. ``delay``: samples of the first frame that
    are left out of it."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        self._channels = channels
        self._level = Curve(channels, hop, delay)
        self._tint = TintFilter(channels, hop, delay, inverse=True)
        self._tinted = False  # gains have none

    def add(self, gains: Gains) -> None:
        """Those of the next frames to be decoded."""
        terms = gains.reshape(self._channels, len(gains) // self._channels, gains.shape[1])
        self._level.add(terms[:, 0])
        self._tinted = len(gains) > self._channels
        if self._tinted:
            self._tint.add(terms[:, 1:].swapaxes(1, 2))

    def restore(self, audio: Samples) -> Samples:
        """The next samples."""
        audio = audio / self._level.take(audio.shape[1])
        return self._tint.apply(audio) if self._tinted else audio
