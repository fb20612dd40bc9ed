"""Analysis by synthesis: tokens chosen by what they decode to, as CELP coders choose theirs.

An encoder of one pass has to guess what its tokens will sound like together. Here the decoder is listened to: from the
encoder's latents on, steps down the gradient of losses on the decoded audio turn over some of the bits, six in a
hundred at best. The decoder and the number of tokens are the same.
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

CURVATURE = 0.5  # as in training, or bits would be turned over that are right
SIZE = 2.0  # RMS of a frame's latents at first: not more than Adam can turn over, if its steps agree
BETAS = (0.3, 0.9)
SHARED = 0.5  # of what Adam divides a bit's gradient by: the rest of its frame has it in common, so that more of those
# turn over that matter most
WORDLESS = 0.4  # share of the decodings, the first, that no recogniser listens to: it takes as long as the decoder, and
# words are told by what is left


@dataclass(frozen=True)
class Effort:
    """How many decodings are listened to, the rate of Adam (Kingma and Ba, 2015) that suits so many, at first, and the
    seconds that a search decides."""

    decodings: int
    rate: float
    seconds: float


EFFORTS = {"normal": Effort(5, 0.7, 4.0), "best": Effort(24, 0.4, 6.0)}


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


def best_latents(decoder: Decoder, listener: Listener, passage: Passage, effort: Effort) -> Array:
    """Latents ``[frames, D]`` of a passage whose signs sound better than those of its own. The last step isn't listened
    to: of hundreds of passages of speech, music and noise none came out farther from what was meant than it began."""
    latents, hop_length = passage.latents, decoder.hop_length
    due = passage.due[: len(latents) * hop_length]
    target, silent = listener.target(np.concatenate([passage.meant, due])), _silent(due, hop_length)
    mean, power = np.zeros_like(latents), np.zeros_like(latents)
    for step in range(effort.decodings):
        signs = signs_of(latents)
        audio, _, trace = decoder(signs, passage.decoder)
        words = step >= WORDLESS * effort.decodings
        _, gradient = listener(np.concatenate([passage.heard, audio]), target, words)
        gradient = decoder.back(gradient[len(passage.heard) :], trace)
        gradient -= CURVATURE * np.abs(gradient).mean(-1, keepdims=True) * signs
        gradient *= 1 - np.square(np.tanh(latents))
        gradient[silent] = 0
        mean += (1 - BETAS[0]) * (gradient - mean)
        squares = np.square(gradient)
        squares += SHARED * (squares.mean(-1, keepdims=True) - squares)
        power += (1 - BETAS[1]) * (squares - power)
        size = np.sqrt(power / (1 - BETAS[1] ** (step + 1))) + 1e-8
        rate = effort.rate * (1 - step / (effort.decodings + 1))
        latents = latents - rate / (1 - BETAS[0] ** (step + 1)) * mean / size
    return latents


def _silent(due: Array, hop_length: int) -> NDArray[np.bool_]:
    """Which frames ``[frames]`` of what is due have nothing to say."""
    peaks = np.abs(due).reshape(-1, hop_length).max(-1)
    silent: NDArray[np.bool_] = sliding_window_view(np.pad(peaks, (0, REACH - 1)), REACH).max(-1) < SILENT
    return silent
