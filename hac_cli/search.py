"""Analysis by synthesis: tokens chosen by what they decode to, as CELP coders choose theirs.

An encoder of one pass has to guess what its tokens will sound like together. Here the decoder is listened to: from the
encoder's latents on, steps down the gradient of losses on the decoded audio turn over six bits in a hundred. The
decoder and the number of tokens are the same. It takes torch, and half as long as the recording, a third on two cores.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hac_cli.losses.envelope import EnvelopeLoss
from hac_cli.losses.loudness import LoudnessLoss
from hac_cli.losses.spectral import SpectralLoss, target_level, waveform_loss
from hac_cli.model.layers import State
from hac_cli.model.network import Codec
from hac_cli.model.quantizer import binarize, to_tokens

SILENT = 1e-3  # -60 dBFS: no loss tells less from nothing, so there the encoder is right
REACH = 6  # frames that a token is heard in most

STEPS = 24  # decodings that are listened to
RATE = 0.4  # of Adam (Kingma and Ba, 2015) at first; torch's own takes a second to import
CURVATURE = 0.5  # as in training, or bits would be turned over that are right
SIZE = 2.0  # RMS of a frame's latents at first: not more than Adam can turn over, if its steps agree
BETAS = (0.5, 0.9)


_lock = threading.Lock()
_searches = 0
_before = "highest", 1


@contextmanager
def searching() -> Iterator[None]:
    """While anybody searches, float32 products of the whole process are oneDNN's, which have AVX-512 on all processors
    and not only on Intel's, and bfloat16 where that is quicker (a search sounds no worse for it); and torch has one
    thread for whoever is in here. Both are as before when all have left, by what they were to the first to enter."""
    global _searches, _before
    threads = torch.get_num_threads()
    with _lock:
        if not _searches:
            _before = torch.get_float32_matmul_precision(), threads
            torch.set_float32_matmul_precision("medium")
        _searches += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        with _lock:
            _searches -= 1
            if not _searches:
                torch.set_float32_matmul_precision(_before[0])
                torch.set_num_threads(_before[1])  # which threads that are begun later have as well


@dataclass(frozen=True)
class Target:
    """Audio ``[1, T]``, divided by its level, and what the losses have to know of it."""

    level: Tensor
    audio: Tensor
    spectrograms: list[Tensor]
    segments: tuple[Tensor, Tensor, Tensor]
    powers: Tensor


class Listener(nn.Module):
    """What is minimized: the losses of training without discriminators, weighted on held-out speakers."""

    def __init__(self) -> None:
        super().__init__()
        self.spectral = SpectralLoss(linear=0.5, log_floor=0.001)
        self.envelope, self.loudness = EnvelopeLoss(), LoudnessLoss()

    @torch.no_grad()
    def target(self, audio: Tensor) -> Target:
        """What outputs ``[1, T]`` are to be compared with, looked at once for all of them."""
        level = target_level(audio)
        audio = audio / level
        return Target(level, audio, self.spectral.spectrograms(audio), self.envelope.segments(audio),
                      self.loudness.powers(audio))  # fmt: skip

    def forward(self, output: Tensor, target: Target) -> Tensor:
        output = output / target.level
        spectral = self.spectral.distance(output, target.spectrograms)
        envelope = self.envelope.distance(output, target.segments)
        loudness = self.loudness.distance(output, target.powers)
        return 4.0 * spectral + 8.0 * envelope + 3.0 * loudness + 5.0 * waveform_loss(output, target.audio)


@dataclass
class Passage:
    """What a search needs: the encoder's latents ``[1, frames, D]``, the audio ``[1, T]`` that they should decode to,
    the decoder's state before them, and what was decoded and meant just before."""

    latents: Tensor
    due: Tensor
    decoder: State
    heard: Tensor
    meant: Tensor


def best_tokens(network: Codec, listener: Listener, passage: Passage) -> np.ndarray:
    """Tokens ``[1, frames, 1]`` (int32) of a passage that sound better than its latents', or those where none do."""
    latents, hop_length = passage.latents, network.config.hop_length
    due = passage.due[:, : latents.shape[1] * hop_length]
    target, silent = listener.target(torch.cat([passage.meant, due], 1)), _silent(due, hop_length)
    best, tokens = float("inf"), to_tokens(latents)
    mean, power = torch.zeros_like(latents), torch.zeros_like(latents)
    for step in range(STEPS):
        latents = latents.detach().requires_grad_()
        audio, _ = network.decode(binarize(latents, CURVATURE), passage.decoder)
        loss = listener(torch.cat([passage.heard, audio], 1), target)
        (gradient,) = torch.autograd.grad(loss, latents)
        if (distance := loss.item()) < best:
            best, tokens = distance, to_tokens(latents)
        gradient = gradient.masked_fill(silent[..., None], 0.0)
        mean.lerp_(gradient, 1 - BETAS[0])
        power.lerp_(gradient.square(), 1 - BETAS[1])
        scale = (power / (1 - BETAS[1] ** (step + 1))).sqrt() + 1e-8
        latents = latents - RATE * (1 - step / STEPS) / (1 - BETAS[0] ** (step + 1)) * mean / scale
    return tokens.to(torch.int32).cpu().numpy()


def _silent(due: Tensor, hop_length: int) -> Tensor:
    """Which frames ``[1, frames]`` of what is due have nothing to say."""
    peaks = due.abs().unflatten(1, (-1, hop_length)).amax(-1)
    return F.pad(peaks, (0, REACH - 1)).unfold(1, REACH, 1).amax(-1) < SILENT
