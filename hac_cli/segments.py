"""What is decided about audio segment by segment, and goes with its frames as numbers in dB."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Numbers = NDArray[np.int8]
T = TypeVar("T")

SEGMENT_SAMPLES = 7680
"""At the codec's rate, 0.32 s, over which audio is heard. Whole frames of every model."""


class Change(Protocol):
    """Changes audio by numbers that were decided before."""

    def add(self, numbers: Numbers, /) -> None:
        """Those of the next frames, one at least."""

    def apply(self, audio: Samples, /) -> Samples:
        """The next samples."""


class Runs(Generic[T]):
    """What holds for so many samples, one run after the other. ``skip``: samples of the first that nobody asks for."""

    def __init__(self, skip: int) -> None:
        self._skip = skip
        self._runs: deque[tuple[int, T]] = deque()

    def add(self, samples: int, what: T) -> None:
        skipped = min(self._skip, samples)
        self._skip -= skipped
        if samples > skipped:
            self._runs.append((samples - skipped, what))

    def take(self, samples: int) -> Iterator[tuple[int, int, T]]:
        """The next samples, a run or what is asked for of it at a time: how many, how many more the run had with them,
        and what holds."""
        while samples:
            left, what = self._runs.popleft()
            taken = min(left, samples)
            if taken < left:
                self._runs.appendleft((left - taken, what))
            samples -= taken
            yield taken, left, what


class Decided:
    """The numbers of frames ``[channels, frames, ...]``, kept until they are asked for."""

    def __init__(self, nothing: Numbers, change: Change) -> None:
        """``nothing``: the numbers of no frames; ``change``: what is done to the audio by them."""
        self._numbers, self._change = nothing, change

    def numbers(self, frames: int) -> Numbers:
        """Those of the next frames."""
        numbers, self._numbers = self._numbers[:, :frames], self._numbers[:, frames:]
        assert numbers.shape[1] == frames
        return numbers

    def _add(self, numbers: Numbers) -> None:
        self._numbers = np.concatenate([self._numbers, numbers], 1)
        if numbers.size:
            self._change.add(numbers)


class Ahead(Decided, ABC):
    """Audio ``[channels, samples]`` at the codec's rate, in pieces of any size, to the same as it is decided to be when
    ``ahead`` segments more were heard. ``delay``: how many samples later the network gives it back."""

    def __init__(self, nothing: Numbers, change: Change, hop: int, delay: int, ahead: int) -> None:
        assert SEGMENT_SAMPLES % hop == 0
        super().__init__(nothing, change)
        channels = len(nothing)
        self._ahead, self._frames = ahead, SEGMENT_SAMPLES // hop
        self._waiting = np.zeros((channels, 0), np.float32)  # for what is decided
        self._unheard = np.zeros((channels, delay), np.float32)  # not a whole segment yet
        self._heard = self._decided = 0  # segments
        self._ready = -delay  # samples for which it is decided

    def push(self, audio: Samples) -> Samples:
        """Takes samples, gives those for which it is decided."""
        self._waiting = np.concatenate([self._waiting, audio], 1)
        self._unheard = np.concatenate([self._unheard, audio], 1)
        whole = self._unheard.shape[1] // SEGMENT_SAMPLES * SEGMENT_SAMPLES
        self._take_in(self._unheard[:, :whole])
        self._unheard = self._unheard[:, whole:]
        self._decide(self._heard - self._ahead)
        return self._changed()

    def flush(self) -> Samples:
        """What still waits: the recording is over."""
        missing = -self._unheard.shape[1] % SEGMENT_SAMPLES
        self._take_in(np.pad(self._unheard, ((0, 0), (0, missing))))
        self._decide(self._heard)
        return self._changed()

    def _take_in(self, audio: Samples) -> None:
        if audio.size:
            segments = audio.reshape(len(audio), -1, SEGMENT_SAMPLES)
            self._heard += segments.shape[1]
            self._hear(segments)

    def _decide(self, segments: int) -> None:
        if segments > self._decided:
            numbers = np.stack([self._numbers_of(segment) for segment in range(self._decided, segments)], 1)
            self._ready += (segments - self._decided) * SEGMENT_SAMPLES
            self._decided = segments
            self._add(numbers.repeat(self._frames, axis=1))

    def _changed(self) -> Samples:
        ready = max(0, min(self._waiting.shape[1], self._ready))
        self._ready -= ready
        audio, self._waiting = self._waiting[:, :ready], self._waiting[:, ready:]
        return self._change.apply(audio)

    @abstractmethod
    def _hear(self, segments: Samples) -> None:
        """The next segments, ``[channels, segments, SEGMENT_SAMPLES]``."""

    @abstractmethod
    def _numbers_of(self, segment: int) -> Numbers:
        """What is decided of a segment, one after the other: ``[channels, ...]``."""


class Live(Decided, ABC):
    """As ``Ahead``, for who can't wait: whole frames are given at once."""

    def __init__(self, nothing: Numbers, change: Change, hop: int, delay: int) -> None:
        assert SEGMENT_SAMPLES % hop == delay % hop == 0
        super().__init__(nothing, change)
        self._hop = hop
        self._waiting = np.zeros((len(nothing), 0), np.float32)  # not a whole frame yet
        self._add(np.zeros((len(nothing), delay // hop, *nothing.shape[2:]), np.int8))

    def push(self, audio: Samples) -> Samples:
        """Takes samples, gives all frames that are whole."""
        audio = np.concatenate([self._waiting, audio], 1) if self._waiting.size else audio
        whole = audio.shape[1] // self._hop * self._hop
        self._waiting = audio[:, whole:]
        return self._changed(audio[:, :whole])

    def flush(self) -> Samples:
        """The rest: the recording is over."""
        rest = self._waiting.shape[1]
        return self._changed(np.pad(self._waiting, ((0, 0), (0, -rest % self._hop))))[:, :rest]

    def _changed(self, audio: Samples) -> Samples:
        if audio.size:
            self._decide(audio.reshape(len(audio), -1, self._hop))
        return self._change.apply(audio)

    @abstractmethod
    def _decide(self, frames: Samples) -> None:
        """Adds the numbers of the next frames, ``[channels, frames, hop]``."""
