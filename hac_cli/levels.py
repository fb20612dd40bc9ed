"""The level at which audio is coded: the one that the network knows best, whatever that of the recording is.

Speech much louder or softer than most of what a network was trained on comes out blurred. So it is brought to the usual
level, by a gain for every frame that goes with the tokens, and is given back by the same gains.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hac_cli.container import Gains
from hac_cli.segments import SEGMENT_SAMPLES, Ahead, Live

Samples = NDArray[np.float32]

TARGET = -23.0  # dBFS, RMS of where somebody speaks
TOLERANCE = 3  # dB that it may be off: a change costs bytes
LEAST = -30  # dB
SILENT, MOST = 1e-7, 40  # a power, -70 dBFS: however faint, not speech; dB
ACTIVE = 0.03  # of the loudest segment's power: others are speech as well, not pauses
HEADROOM = 0.5  # dB from the highest sample to full level
PAST, AHEAD = 18, 4
"""Segments that a segment's gain goes by, beside itself."""

FACTORS = np.float32(10) ** (np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32) / np.float32(20))
"""Of all gains, those below 0 last: where such an index finds them."""

LIVE_SILENT, LIVE_MOST = 1e-6, 25
LIVE_PAST, LIVE_RISE = 94, 2
"""Where nothing waits: half a minute is remembered, or pauses would be lifted to the level of speech, and a gain rises
by no more than so many dB a segment."""


def wanted_gain(powers: Sequence[float], gain: int, silent: float) -> int:
    """What brings segments of these powers to the network's level; ``gain`` where it does nearly, or nobody speaks."""
    loudest = max(powers, default=0.0)
    if loudest <= silent:
        return gain
    active = [power for power in powers if power > ACTIVE * loudest]
    wanted = round(TARGET - 10 * math.log10(sum(active) / len(active)))
    return gain if abs(wanted - gain) <= TOLERANCE else wanted


def room_for(peak: float, most: int) -> int:
    """The gain at which the highest sample stays below full level."""
    return min(most, math.floor(-HEADROOM - 20 * math.log10(peak))) if peak > 1e-9 else most


class Ramp:
    """Gains of frame after frame as factors of sample after sample: another one is reached in the length of a frame.
    ``skip``: samples of the first frame that nobody asks for."""

    def __init__(self, channels: int, hop: int, skip: int) -> None:
        self._hop, self._skip = hop, skip
        self._before: NDArray[np.float32] | None = None  # the last frame's factor
        self._factors = np.zeros((channels, 0), np.float32)

    def add(self, gains: Gains) -> None:
        """Those of the next frames, one at least."""
        factors = FACTORS[gains]
        before = factors[:, :1] if self._before is None else self._before
        self._before = factors[:, -1:]
        if (factors == before).all():
            lines = factors.repeat(self._hop, 1)
        else:
            rises = np.diff(factors, axis=1, prepend=before)[..., None]
            lines = factors[..., None] + rises * (np.arange(1, self._hop + 1, dtype=np.float32) / self._hop - 1)
        self._factors = np.concatenate([self._factors, lines.reshape(len(gains), -1)], 1)

    def take(self, samples: int) -> NDArray[np.float32]:
        """The next factors, ``[channels, samples]``."""
        if not samples:
            return self._factors[:, :0]
        stop = self._skip + samples
        taken, self._factors, self._skip = self._factors[:, self._skip : stop], self._factors[:, stop:], 0
        assert taken.shape[1] == samples
        return taken

    def apply(self, audio: Samples) -> Samples:
        """The next samples, louder by these factors."""
        return audio * self.take(audio.shape[1])


class Leveller(Ahead):
    """Audio ``[channels, samples]`` at the codec's rate, in pieces of any size, to the same at the network's level, one
    to two seconds later. ``delay``: how many samples later the network gives it back."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        super().__init__(np.zeros((channels, 0), np.int8), Ramp(channels, hop, delay), hop, delay, AHEAD)
        self._channels = [_Channel() for _ in range(channels)]

    def _hear(self, segments: Samples) -> None:
        for channel, heard in zip(self._channels, segments, strict=True):
            channel.listen(np.square(heard).mean(-1), np.abs(heard).max(-1))

    def _numbers_of(self, segment: int) -> Gains:
        return np.array([channel.decide(segment) for channel in self._channels], np.int8)


class _Channel:
    """What one channel's gain goes by."""

    def __init__(self) -> None:
        self._first = 0  # segment of the first power that is kept
        self._powers: list[float] = []
        self._peaks: list[float] = []
        self._gain = 0

    def listen(self, powers: NDArray[np.float32], peaks: NDArray[np.float32]) -> None:
        self._powers += powers.tolist()
        self._peaks += peaks.tolist()

    def decide(self, segment: int) -> int:
        """The gain of a segment, one after the other."""
        forgotten = max(0, segment - PAST - self._first)
        del self._powers[:forgotten], self._peaks[:forgotten]
        self._first += forgotten
        stop = segment + AHEAD + 1 - self._first
        before = max(0, segment - 1 - self._first)  # whose gain lasts into this one
        wanted = wanted_gain(self._powers[:stop], self._gain, SILENT)
        self._gain = max(LEAST, min(wanted, room_for(max(self._peaks[before:stop]), MOST)))
        return self._gain


class LiveLeveller(Live):
    """As ``Leveller``, for who can't wait: whole frames are given at once."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        super().__init__(np.zeros((channels, 0), np.int8), Ramp(channels, hop, delay), hop, delay)
        self._channels = [_LiveChannel(SEGMENT_SAMPLES // hop) for _ in range(channels)]

    def _decide(self, frames: Samples) -> None:
        powers, peaks = (np.square(frames).sum(-1) / self._hop).tolist(), np.abs(frames).max(-1).tolist()
        gains = [
            list(map(channel.decide, *heard)) for channel, *heard in zip(self._channels, powers, peaks, strict=True)
        ]
        self._add(np.array(gains, np.int8))


class _LiveChannel:
    def __init__(self, frames: int) -> None:
        self._frames = frames  # of a segment
        self._powers: deque[float] = deque(maxlen=LIVE_PAST)
        self._heard: list[float] = []
        self._gain = 0

    def decide(self, power: float, peak: float) -> int:
        """The gain of a frame: what was heard says how loud it will be, and it itself how loud it may become."""
        self._gain = max(LEAST, min(self._gain, room_for(peak, LIVE_MOST)))
        gain = self._gain
        self._heard.append(power)
        if len(self._heard) == self._frames:
            self._powers.append(sum(self._heard) / self._frames)
            self._heard = []
            self._gain = min(wanted_gain(self._powers, gain, LIVE_SILENT), gain + LIVE_RISE, LIVE_MOST)
        return gain
