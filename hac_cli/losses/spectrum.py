"""The short-time spectrum that losses and discriminators look at."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def spectrum(signal: Tensor, taper: Tensor, hop: int) -> Tensor:
    """Complex bins ``[B, steps, len(taper)/2 + 1]`` of signals ``[B, T]``, from whole windows alone."""
    found: Tensor = _Transform.apply(signal.unfold(1, len(taper), hop), taper)  # type: ignore[no-untyped-call]
    return found


def squares(signal: Tensor, taper: Tensor, hop: int) -> Tensor:
    """Those of a bin's real and imaginary part in turn ``[B, steps, 2·bins]``: a matrix of bands with each of its rows
    twice sums them to powers."""
    return torch.view_as_real(spectrum(signal, taper, hop)).flatten(-2).square()


class _Transform(torch.autograd.Function):
    """``rfft(frames * taper)``. The gradient of ``torch.fft.rfft`` pads the bins and takes the real part of a complex
    transform; an inverse real one does with half of the work."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, taper: Tensor) -> Tensor:
        ctx.save_for_backward(taper)
        return torch.fft.rfft(frames * taper)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (taper,) = ctx.saved_tensors
        once = slice(0, None, len(taper) // 2) if len(taper) % 2 == 0 else slice(0, 1)
        gradient = gradient.clone()
        gradient[..., once] *= 2  # all other bins count twice in the inverse
        return torch.fft.irfft(gradient, len(taper), norm="forward") * (taper / 2), None
