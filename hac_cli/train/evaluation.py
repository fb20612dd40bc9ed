"""Evaluation while training: metrics, audio samples and spectrogram pictures of clips that were held out."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from hac_cli.eval import metrics
from hac_cli.model.network import Codec
from hac_cli.model.quantizer import bit_entropy
from hac_cli.train.data import SAMPLE_RATE, Clip, Corpus
from hac_cli.train.recipe import EvaluationSettings

Metric = Callable[[np.ndarray, np.ndarray], float]
METRICS: dict[str, tuple[str | None, Metric]] = {
    "si_sdr": (None, metrics.si_sdr),
    "level_db": (None, metrics.level_change),
    "pesq_wb": ("pesq", lambda x, y: metrics.pesq(x, y, "wb")),
    "pesq_nb": ("pesq", lambda x, y: metrics.pesq(x, y, "nb")),
    "stoi": ("pystoi", lambda x, y: metrics.stoi(x, y)),
}
"""Each with the package that it needs."""


def installed(package: str | None) -> bool:
    return package is None or importlib.util.find_spec(package) is not None


def pick(held_out: Corpus, settings: EvaluationSettings) -> np.ndarray:
    """The middle of recordings spread over the held-out speakers: ``[clips, samples]``, none if none is long enough."""
    length = round(settings.seconds * SAMPLE_RATE)
    long: dict[str, Clip] = {}
    for clip in held_out.of_kind("speech"):
        if len(clip.audio) >= length:
            long.setdefault(clip.speaker, clip)  # one of each speaker
    clips = list(long.values())[: settings.clips]
    cuts = [clip.audio[(len(clip.audio) - length) // 2 :][:length] for clip in clips]
    return np.array(cuts, np.float32).reshape(len(cuts), length) / 32768


class Evaluation:
    """Scores a network on fixed clips and leaves ``audio/`` and ``pictures/`` in the run's folder."""

    def __init__(self, clips: np.ndarray, folder: Path, samples: int) -> None:
        self.clips, self.folder, self.samples = clips, folder, min(samples, len(clips))
        self.missing = sorted({package for package, _ in METRICS.values() if package and not installed(package)})
        if self.samples:
            (folder / "audio").mkdir(parents=True, exist_ok=True)
        for index in range(self.samples):
            soundfile.write(folder / "audio" / f"{index}-original.wav", clips[index], SAMPLE_RATE)

    def __call__(self, model: Codec, step: int) -> dict[str, Any]:
        """Means over the clips, and the entropy of each bit. A metric that fails on a clip, as PESQ does where it finds
        no speech, leaves it out and counts it as ``unscored``."""
        delay = model.config.look_ahead
        whole = self.clips.shape[1] // model.config.hop_length * model.config.hop_length
        with torch.no_grad():
            output, latents = model(torch.from_numpy(self.clips[:, :whole]).to(next(model.parameters()).device))
        decoded, reference = output[:, delay:].float().cpu().numpy(), self.clips[:, : whole - delay]
        found: dict[str, Any] = {}
        unscored = 0
        for name, (package, metric) in METRICS.items():
            if installed(package):
                scores = [_score(metric, x, y) for x, y in zip(reference, decoded, strict=True)]
                kept = [score for score in scores if math.isfinite(score)]
                unscored += len(scores) - len(kept)
                found[name] = float(np.mean(kept)) if kept else None
        entropy = bit_entropy(latents)
        for index in range(self.samples):
            self._keep(index, step, reference[index], decoded[index])
        return found | {"bits": float(entropy.mean()), "least_bit": float(entropy.min()), "unscored": unscored,
                        "bit_entropy": [round(bit, 4) for bit in entropy.tolist()]}  # fmt: skip

    def _keep(self, index: int, step: int, reference: np.ndarray, decoded: np.ndarray) -> None:
        name = f"{index}-{step:07d}"
        soundfile.write(self.folder / "audio" / f"{name}.wav", np.clip(decoded, -1, 1), SAMPLE_RATE)
        if installed("PIL"):
            from PIL import Image

            (self.folder / "pictures").mkdir(exist_ok=True)
            picture = np.concatenate([spectrogram(reference), spectrogram(decoded)])
            Image.fromarray(picture).save(self.folder / "pictures" / f"{name}.png")


def _score(metric: Metric, reference: np.ndarray, decoded: np.ndarray) -> float:
    try:
        return metric(reference, decoded)
    except metrics.MetricRefused:
        return math.nan


def spectrogram(signal: np.ndarray, window: int = 1024) -> np.ndarray:
    """A grey picture ``[bins, steps]`` uint8, low frequencies below; white is -10 dBFS, black -90."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(signal, window // 2), window)[:: window // 4]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(window))) * 4 / window
    decibels = 20 * np.log10(magnitude + 1e-9)
    return np.ascontiguousarray(np.clip((decibels + 90) / 80 * 255, 0, 255).astype(np.uint8).T[::-1])
