"""Evaluation while training: metrics, audio samples and spectrogram pictures of clips that were held out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from hac_cli.eval import spectrogram
from hac_cli.eval.metrics import STANDARD, Metric, MetricRefused, available, level_change
from hac_cli.losses.bits import bit_entropy
from hac_cli.model.network import Codec
from hac_cli.train.data import SAMPLE_RATE, Clip, Corpus
from hac_cli.train.recipe import EvaluationSettings

METRICS = (*STANDARD, Metric("level_db", "level", level_change, 1, 0.1))


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
        self.metrics, self.missing = available(METRICS)
        if self.samples:
            (folder / "audio").mkdir(parents=True, exist_ok=True)
            (folder / "pictures").mkdir(exist_ok=True)
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
        for metric in self.metrics:
            scores = [_score(metric, x, y) for x, y in zip(reference, decoded, strict=True)]
            kept = [score for score in scores if math.isfinite(score)]
            unscored += len(scores) - len(kept)
            found[metric.key] = float(np.mean(kept)) if kept else None
        entropy = bit_entropy(latents)
        for index in range(self.samples):
            self._keep(index, step, reference[index], decoded[index])
        return found | {"bits": float(entropy.mean()), "least_bit": float(entropy.min()), "unscored": unscored,
                        "bit_entropy": [round(bit, 4) for bit in entropy.tolist()]}  # fmt: skip

    def _keep(self, index: int, step: int, reference: np.ndarray, decoded: np.ndarray) -> None:
        name = f"{index}-{step:07d}"
        soundfile.write(self.folder / "audio" / f"{name}.wav", np.clip(decoded, -1, 1), SAMPLE_RATE)
        (self.folder / "pictures" / f"{name}.png").write_bytes(spectrogram.png(reference, decoded))


def _score(metric: Metric, reference: np.ndarray, decoded: np.ndarray) -> float:
    try:
        return metric.measure(reference, decoded)
    except MetricRefused:
        return math.nan
