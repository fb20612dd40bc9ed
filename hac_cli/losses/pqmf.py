"""A near-perfect-reconstruction filter bank: cosine modulation of one low-pass prototype.

The prototype is a Kaiser-windowed sinc whose cut-off is searched so that the bank reconstructs (Creusere and Mitra,
1995, "A simple method for designing high-quality prototype filters for M-band pseudo QMF banks"; Lin and
Vaidyanathan, 1998, "A Kaiser window approach"); the phases of the modulation cancel the aliasing of neighbours.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

TAPS_PER_BAND = 16
KAISER_BETA = 9.0
SEARCH_STEPS = 60


def design_prototype(bands: int) -> NDArray[np.float64]:
    """The low-pass prototype ``[16·bands + 1]``, symmetric, its passband gain 1."""
    low, high = 0.5 / bands, 1.0 / bands  # cut-offs in units of the Nyquist frequency; the best one lies between
    golden = (5**0.5 - 1) / 2
    for _ in range(SEARCH_STEPS):
        inner = high - golden * (high - low), low + golden * (high - low)
        if _ripple(_windowed_sinc(bands, inner[0]), bands) < _ripple(_windowed_sinc(bands, inner[1]), bands):
            high = inner[1]
        else:
            low = inner[0]
    return _windowed_sinc(bands, (low + high) / 2)


def _windowed_sinc(bands: int, cutoff: float) -> NDArray[np.float64]:
    taps = TAPS_PER_BAND * bands
    time = np.arange(taps + 1) - taps / 2
    return cutoff * np.sinc(cutoff * time) * np.kaiser(taps + 1, KAISER_BETA)


def _ripple(prototype: NDArray[np.float64], bands: int) -> float:
    """How far the prototype's autocorrelation is from a Nyquist(2·bands) filter: 0 would be no ripple at all."""
    correlation = np.convolve(prototype, prototype)[len(prototype) - 1 :: 2 * bands]
    return float(np.abs(correlation[1:]).max() / correlation[0])


class PQMF(nn.Module):
    """Splits ``[B, T]`` into ``[B, bands, T/bands]``, each band critically sampled, and puts them together again.

    T has to be a multiple of ``bands``. Signal power is preserved; ends of half a filter length are not
    reconstructed, as nothing is known beyond them.
    """

    filters: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands = bands
        prototype = design_prototype(bands)
        time = np.arange(len(prototype)) - (len(prototype) - 1) / 2
        band = np.arange(bands)[:, None]
        angle = (2 * band + 1) * np.pi / (2 * bands) * time
        filters = 2 * bands**0.5 * prototype * np.cos(angle + (-1.0) ** band * np.pi / 4)
        self.register_buffer("filters", torch.from_numpy(filters)[:, None].float(), persistent=False)

    @property
    def padding(self) -> int:
        return self.filters.shape[-1] // 2

    def forward(self, signal: Tensor) -> Tensor:
        with torch.autocast(signal.device.type, enabled=False):  # in bfloat16 bands leak into each other, 35 dB more
            bands = F.conv1d(signal[:, None], self.filters, stride=self.bands, padding=self.padding)
        return bands[..., : signal.shape[-1] // self.bands]

    def join(self, bands: Tensor) -> Tensor:
        """The inverse, which is the transpose: ``[B, bands, T/bands]`` to ``[B, T]``."""
        signal = F.conv_transpose1d(
            bands, self.filters, stride=self.bands, padding=self.padding, output_padding=self.bands - 1
        )
        return signal[:, 0]
