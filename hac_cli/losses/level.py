"""Whether loud passages come back as loud as they were. Signals are ``[B, T]``, at the target's level."""

from __future__ import annotations

from torch import Tensor

WINDOW = 4800  # 0.2 s at 24 kHz: a syllable
LOUD = 0.1  # of the clip's mean power: quieter passages hardly count for the level of speech
EPSILON = 1e-3


def level_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of levels in nepers, over the windows of 0.2 s in which the target is loud; a signal
    that is shorter is one window.

    A distance of waveforms or spectra is least where the output is quieter than the target, as far as it is unsure;
    distances that don't see the level of a clip do nothing against that.
    """
    size = min(WINDOW, target.shape[1])
    power, found = (signal.unfold(1, size, size // 2).square().mean(-1) for signal in (target, output))
    heard = (power > LOUD * target.square().mean(1, keepdim=True)).to(power.dtype)
    nepers = 0.5 * ((found + EPSILON) / (power + EPSILON)).log()
    return ((nepers.square() * heard).sum(1) / heard.sum(1).clamp_min(1)).mean()
