"""Analysis by synthesis: tokens chosen by what they decode to, as CELP coders choose theirs.

An encoder of one pass has to guess what its tokens will sound like together. Here the decoder is listened to: from the
encoder's latents on, steps down the gradient of losses on the decoded audio turn over six bits in a hundred. The
decoder and the number of tokens are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hac_cli.listener import Listener
from hac_cli.model.gradient import Decoder, State

Array = NDArray[np.float32]

SILENT = 1e-3  # -60 dBFS: no loss tells less from nothing, so there the encoder is right
REACH = 6  # frames that a token is heard in most

STEPS = 24  # decodings that are listened to
RATE = 0.4  # of Adam (Kingma and Ba, 2015) at first
CURVATURE = 0.5  # as in training, or bits would be turned over that are right
SIZE = 2.0  # RMS of a frame's latents at first: not more than Adam can turn over, if its steps agree
BETAS = (0.3, 0.9)


@dataclass
class Passage:
    """What a search needs: the encoder's latents ``[frames, D]``, the audio ``[T]`` that they should decode to, the
    decoder's state before them, and what was decoded and meant just before."""

    latents: Array
    due: Array
    decoder: State
    heard: Array
    meant: Array


def signs_of(latents: Array) -> Array:
    return np.where(latents > 0, np.float32(1), np.float32(-1))


def best_latents(decoder: Decoder, listener: Listener, passage: Passage) -> Array:
    """Latents ``[frames, D]`` of a passage whose signs sound better than those of its own, or these where none do."""
    latents, hop_length = passage.latents, decoder.hop_length
    due = passage.due[: len(latents) * hop_length]
    target, silent = listener.target(np.concatenate([passage.meant, due])), _silent(due, hop_length)
    least, best = float("inf"), latents
    mean, power = np.zeros_like(latents), np.zeros_like(latents)
    for step in range(STEPS):
        signs = signs_of(latents)
        audio, _, trace = decoder(signs, passage.decoder)
        distance, gradient = listener(np.concatenate([passage.heard, audio]), target)
        if distance < least:
            least, best = distance, latents
        if step == STEPS - 1:
            break
        gradient = decoder.back(gradient[len(passage.heard) :], trace)
        gradient -= CURVATURE * np.abs(gradient).mean(-1, keepdims=True) * signs
        gradient *= 1 - np.square(np.tanh(latents))
        gradient[silent] = 0
        mean += (1 - BETAS[0]) * (gradient - mean)
        power += (1 - BETAS[1]) * (np.square(gradient) - power)
        size = np.sqrt(power / (1 - BETAS[1] ** (step + 1))) + 1e-8
        latents = latents - RATE * (1 - step / STEPS) / (1 - BETAS[0] ** (step + 1)) * mean / size
    return best


def _silent(due: Array, hop_length: int) -> NDArray[np.bool_]:
    """Which frames ``[frames]`` of what is due have nothing to say."""
    peaks = np.abs(due).reshape(-1, hop_length).max(-1)
    silent: NDArray[np.bool_] = sliding_window_view(np.pad(peaks, (0, REACH - 1)), REACH).max(-1) < SILENT
    return silent
