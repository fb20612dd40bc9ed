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

Samples = NDArray[np.float32]

SEGMENT_SAMPLES = 7680
"""At the codec's rate, 0.32 s, over which loudness is measured. Whole frames of every model."""
TARGET = -23.0  # dBFS, RMS of where somebody speaks
TOLERANCE = 3  # dB that it may be off: a change costs bytes
LEAST = -30  # dB
SILENT, MOST = 1e-7, 40  # a power, -70 dBFS: however faint, not speech; dB
ACTIVE = 0.03  # of the loudest segment's power: others are speech as well, not pauses
HEADROOM = 0.5  # dB from the highest sample to full level
PAST, AHEAD = 18, 4
"""Segments that a segment's gain goes by, beside itself."""

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


class Curve:
    """Gains of frame after frame as factors of sample after sample: another one is reached in the length of a frame.
    ``skip``: samples of the first frame that nobody asks for."""

    def __init__(self, channels: int, hop: int, skip: int) -> None:
        self._hop, self._skip = hop, skip
        self._before: NDArray[np.float32] | None = None  # the last frame's factor
        self._factors = np.zeros((channels, 0), np.float32)

    def add(self, gains: Gains) -> None:
        """Those of the next frames, one at least."""
        factors = np.float32(10) ** (gains.astype(np.float32) / np.float32(20))
        before = factors[:, :1] if self._before is None else self._before
        rises = np.diff(factors, axis=1, prepend=before)
        self._before = factors[:, -1:]
        lines = factors[..., None] + rises[..., None] * (np.arange(1, self._hop + 1, dtype=np.float32) / self._hop - 1)
        self._factors = np.concatenate([self._factors, lines.reshape(len(gains), -1)], 1)

    def take(self, samples: int) -> NDArray[np.float32]:
        """The next factors, ``[channels, samples]``."""
        assert samples <= len(self)
        if not samples:
            return self._factors[:, :0]
        stop = self._skip + samples
        taken, self._factors, self._skip = self._factors[:, self._skip : stop], self._factors[:, stop:], 0
        return taken

    def __len__(self) -> int:
        return max(0, self._factors.shape[1] - self._skip)


class _Gains:
    """The gains that were decided, until they are asked for, and as factors of the samples to come."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        self._curve = Curve(channels, hop, delay)
        self._gains = np.zeros((channels, 0), np.int8)

    def gains(self, frames: int) -> Gains:
        """Those of the next frames."""
        gains, self._gains = self._gains[:, :frames], self._gains[:, frames:]
        assert gains.shape[1] == frames
        return gains

    def _add(self, gains: Gains) -> None:
        self._gains = np.concatenate([self._gains, gains], 1)
        if gains.size:
            self._curve.add(gains)


class Leveller(_Gains):
    """Audio ``[channels, samples]`` at the codec's rate, in pieces of any size, to the same at the network's level, one
    to two seconds later. ``delay``: how many samples later the network gives it back."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        assert SEGMENT_SAMPLES % hop == 0
        super().__init__(channels, hop, delay)
        self._frames = SEGMENT_SAMPLES // hop
        self._waiting = np.zeros((channels, 0), np.float32)  # for its gain
        self._unheard = np.zeros((channels, delay), np.float32)  # not a whole segment yet
        self._channels = [_Channel() for _ in range(channels)]
        self._heard = self._decided = 0  # segments

    def push(self, audio: Samples) -> Samples:
        """Takes samples, gives those whose gain is known."""
        self._waiting = np.concatenate([self._waiting, audio], 1)
        self._unheard = np.concatenate([self._unheard, audio], 1)
        whole = self._unheard.shape[1] // SEGMENT_SAMPLES * SEGMENT_SAMPLES
        self._listen(self._unheard[:, :whole])
        self._unheard = self._unheard[:, whole:]
        self._decide(self._heard - AHEAD)
        return self._levelled()

    def flush(self) -> Samples:
        """What still waits: the recording is over."""
        missing = -self._unheard.shape[1] % SEGMENT_SAMPLES
        self._listen(np.pad(self._unheard, ((0, 0), (0, missing))))
        self._decide(self._heard)
        return self._levelled()

    def _listen(self, audio: Samples) -> None:
        segments = audio.reshape(len(audio), -1, SEGMENT_SAMPLES)
        self._heard += segments.shape[1]
        for channel, heard in zip(self._channels, segments, strict=True):
            channel.listen(np.square(heard).mean(-1), np.abs(heard).max(-1, initial=0))

    def _decide(self, segments: int) -> None:
        if segments > self._decided:
            numbers = range(self._decided, segments)
            gains = np.array([[channel.decide(number) for number in numbers] for channel in self._channels], np.int8)
            self._decided = segments
            self._add(gains.repeat(self._frames, axis=1))

    def _levelled(self) -> Samples:
        ready = min(self._waiting.shape[1], len(self._curve))
        audio, self._waiting = self._waiting[:, :ready], self._waiting[:, ready:]
        return audio * self._curve.take(ready)


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


class LiveLeveller(_Gains):
    """As ``Leveller``, for who can't wait: whole frames are given at once."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        assert SEGMENT_SAMPLES % hop == delay % hop == 0
        super().__init__(channels, hop, delay)
        self._hop = hop
        self._waiting = np.zeros((channels, 0), np.float32)  # not a whole frame yet
        self._channels = [_LiveChannel(SEGMENT_SAMPLES // hop) for _ in range(channels)]
        self._add(np.zeros((channels, delay // hop), np.int8))

    def push(self, audio: Samples) -> Samples:
        """Takes samples, gives all frames that are whole."""
        audio = np.concatenate([self._waiting, audio], 1)
        whole = audio.shape[1] // self._hop * self._hop
        self._waiting = audio[:, whole:]
        return self._levelled(audio[:, :whole])

    def flush(self) -> Samples:
        """The rest: the recording is over."""
        rest = self._waiting.shape[1]
        return self._levelled(np.pad(self._waiting, ((0, 0), (0, -rest % self._hop))))[:, :rest]

    def _levelled(self, audio: Samples) -> Samples:
        frames = audio.reshape(len(audio), -1, self._hop)
        powers, peaks = np.square(frames).mean(-1).tolist(), np.abs(frames).max(-1).tolist()
        gains = [
            list(map(channel.decide, *heard)) for channel, *heard in zip(self._channels, powers, peaks, strict=True)
        ]
        self._add(np.array(gains, np.int8).reshape(frames.shape[:2]))
        return audio * self._curve.take(audio.shape[1])


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


class Restorer:
    """Decoded audio ``[channels, samples]`` back to its own level. ``delay``: samples of the first frame that are left
    out of it."""

    def __init__(self, channels: int, hop: int, delay: int) -> None:
        self._curve = Curve(channels, hop, delay)

    def add(self, gains: Gains) -> None:
        """Those of the next frames to be decoded."""
        self._curve.add(gains)

    def restore(self, audio: Samples) -> Samples:
        """The next samples."""
        return audio / self._curve.take(audio.shape[1])
