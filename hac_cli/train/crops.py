"""Crops of training audio, drawn by speaker and augmented."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hac_cli.errors import InputError
from hac_cli.train.augment import coloured_noise, limit_band, reverberate, rms
from hac_cli.train.data import KINDS, SAMPLE_RATE, Clip, Corpus
from hac_cli.train.tables import ABOVE_ZERO, FINITE, Positive, Share

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Those that end a run, once it is saved."""


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn. Levels are RMS in dBFS; all else but ``seconds`` and ``batch`` are shares of the crops."""

    seconds: Positive = 1.0
    batch: Annotated[int, ABOVE_ZERO] = 8
    music: Share = 0.04
    sfx: Share = 0.03
    silence: Share = 0.005
    noise: Share = 0.12
    reverb: Share = 0.0
    band_limit: Share = 0.0
    level: Annotated[float, FINITE] = -24.0
    level_spread: float = 5.0
    wide_level: Share = 0.1
    level_range: Annotated[tuple[float, float], FINITE] = (-50.0, -8.0)


class Crops:
    """Draws batches of crops ``[B, T]`` float32. Speakers are weighted by the square root of their hours, so that
    one with much speech doesn't drown the others. Crop ``i`` of all depends on the seed and ``i`` alone, so a resumed
    run, or one in several processes, sees the same.

    ``too_short`` counts the recordings that are shorter than a crop. Raises InputError when no speech is left.
    """

    def __init__(self, corpus: Corpus, settings: CropSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.length = round(settings.seconds * SAMPLE_RATE)
        self.pools = {}
        for kind in KINDS:
            clips = [clip for clip in corpus.of_kind(kind) if len(clip.audio) > self.length]
            if clips:
                self.pools[kind] = (clips, speaker_weights(clips))
        self.too_short = sum(len(clip.audio) <= self.length for clip in corpus.clips)
        if "speech" not in self.pools:
            raise InputError(f"no speech is longer than a crop of {settings.seconds} s")

    def batch(self, number: int) -> np.ndarray:
        first = number * self.settings.batch
        return np.stack([self.crop(first + i) for i in range(self.settings.batch)])

    def batches(self, first: int, step: int = 1, workers: int = 0) -> Iterator[Tensor]:
        """Batches ``first``, ``first + step`` and so on; with ``workers``, so many processes draw them ahead."""
        numbers = itertools.count(first, step)
        if not workers:
            return (torch.from_numpy(self.batch(number)) for number in numbers)
        loader = DataLoader(
            _Drawn(self), None, sampler=numbers, num_workers=workers, pin_memory=torch.cuda.is_available(),  # type: ignore[arg-type]
            worker_init_fn=_leave_signals,
            generator=torch.Generator(),  # else it draws from the one whose state a resumed run takes up
        )  # fmt: skip
        return iter(loader)

    def crop(self, index: int) -> np.ndarray:
        random = np.random.default_rng((self.seed, index))
        s = self.settings
        choice = random.random()
        if choice < s.silence:
            return (random.standard_normal(self.length) * 10 ** random.uniform(-6, -4)).astype(np.float32)
        kind = "music" if choice > 1 - s.music else "sfx" if choice > 1 - s.music - s.sfx else "speech"
        crop = self._cut(kind, random)
        if s.reverb and random.random() < s.reverb:
            crop = reverberate(crop, random)
        if kind == "speech" and random.random() < s.noise:
            crop = crop + self._noise(random) * rms(crop) * 10 ** (-random.uniform(3, 25) / 20)
        if s.band_limit and random.random() < s.band_limit:
            crop = limit_band(crop, random)
        return self._level(crop, random)

    def _cut(self, kind: str, random: np.random.Generator) -> np.ndarray:
        clips, weights = self.pools.get(kind) or self.pools["speech"]
        clip = clips[np.searchsorted(weights, random.random())]
        start = random.integers(0, len(clip.audio) - self.length)
        return clip.audio[start : start + self.length].astype(np.float32) / 32768

    def _noise(self, random: np.random.Generator) -> np.ndarray:
        """Unit-RMS background: a sound, music, other speech, or coloured noise."""
        if random.random() < 0.5:
            cut = self._cut(random.choice(["sfx", "music", "speech"]), random)
            return cut / rms(cut)
        return coloured_noise(self.length, random)

    def _level(self, crop: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Sets the RMS level of a crop; a pause that was cut alone is not lifted to the level of speech."""
        s = self.settings
        level = random.normal(s.level, s.level_spread)
        if random.random() < s.wide_level:
            level = random.uniform(*s.level_range)
        gain = min(10 ** (level / 20) / max(rms(crop), 0.01), 0.999 / max(1e-6, float(np.abs(crop).max())))
        return (crop * gain).astype(np.float32)


def _leave_signals(_: int) -> None:
    """A signal to the whole group, as torchrun and timeout send it, is for the trainer to obey."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class _Drawn(Dataset[Tensor]):
    """Batches by number, for a DataLoader."""

    def __init__(self, crops: Crops) -> None:
        self.crops = crops

    def __getitem__(self, number: int) -> Tensor:
        return torch.from_numpy(self.crops.batch(number))


def speaker_weights(clips: list[Clip]) -> np.ndarray:
    """Cumulative probability of each clip: √hours a speaker, shared by its clips by length, times its weight."""
    seconds: dict[str, float] = {}
    for clip in clips:
        seconds[clip.speaker] = seconds.get(clip.speaker, 0.0) + clip.seconds
    weights = np.array([clip.weight * clip.seconds / seconds[clip.speaker] ** 0.5 for clip in clips])
    cumulative = np.cumsum(weights / weights.sum())
    cumulative[-1] = 1.0
    return cumulative
