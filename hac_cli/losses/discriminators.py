"""Discriminators. Each takes signals ``[B, T]`` and gives its feature maps, layer by layer; the last is the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from hac_cli.losses.pqmf import PQMF
from hac_cli.losses.spectrum import spectrum

Features = list[Tensor]
SLOPE = 0.2


@dataclass(frozen=True)
class DiscriminatorShape:
    """One STFT discriminator for each of ``windows``; one filter-band discriminator for each of ``band_ranges``, whose
    bands are those of a bank of ``bands``."""

    windows: tuple[int, ...]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    bands: int
    band_ranges: tuple[tuple[int, int], ...]
    band_channels: tuple[int, ...]
    band_strides: tuple[int, ...]


SIZES = {
    # what two CPU cores can train beside a generator
    "cpu": DiscriminatorShape(
        windows=(512, 1024, 2048), channels=(8, 16, 16), strides=(4, 2, 2), dilations=(1, 1, 1),
        bands=16, band_ranges=((0, 4), (0, 8), (0, 16)), band_channels=(16, 32, 32), band_strides=(2, 2, 1),
    ),
    # the STFT part is that of EnCodec (Défossez et al., 2022)
    "full": DiscriminatorShape(
        windows=(128, 256, 512, 1024, 2048), channels=(32, 32, 32, 32), strides=(1, 2, 2, 2), dilations=(1, 1, 2, 4),
        bands=16, band_ranges=((0, 4), (0, 8), (0, 12), (0, 16)), band_channels=(64, 128, 256, 256),
        band_strides=(1, 2, 2, 1),
    ),
}  # fmt: skip


class STFTDiscriminator(nn.Module):
    """Strided convolutions over a complex STFT, real and imaginary parts as two channels: it hears phase too.

    Kernels are 3 frames by 9 bins, strides go along frequency, dilations along time (EnCodec). The spectrogram is
    laid out channels-last from the start, which is the fast layout of ``conv2d`` on a CPU.
    """

    window: Tensor

    def __init__(self, window: int, channels: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> None:
        super().__init__()
        taper = torch.hann_window(window)
        self.register_buffer("window", taper / taper.square().sum().sqrt(), persistent=False)
        self.layers = nn.ModuleList()
        inputs = 2
        for outputs, stride, dilation in zip(channels, strides, dilations, strict=True):
            self.layers.append(_normed(nn.Conv2d(inputs, outputs, (3, 9), (1, stride), (dilation, 4), (dilation, 1))))
            inputs = outputs
        self.score = _normed(nn.Conv2d(inputs, 1, 3, padding=1))

    def forward(self, signal: Tensor) -> Features:
        bins = spectrum(signal, self.window, len(self.window) // 4)
        return _through(self.layers, self.score, torch.view_as_real(bins).permute(0, 3, 1, 2))


class BandDiscriminator(nn.Module):
    """Strided convolutions over time on a range of the bands of a PQMF filter bank (as Avocodo's sub-band
    discriminators, Bak et al., 2023): waveforms, but each at a low rate."""

    def __init__(self, bands: tuple[int, int], channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.first, self.last = bands
        self.layers = nn.ModuleList()
        inputs = self.last - self.first
        for outputs, stride in zip(channels, strides, strict=True):
            self.layers.append(_normed(nn.Conv1d(inputs, outputs, 7, stride, 3)))
            inputs = outputs
        self.score = _normed(nn.Conv1d(inputs, 1, 3, padding=1))

    def forward(self, bands: Tensor) -> Features:
        """bands: the whole bank's ``[B, N, T/N]``."""
        return _through(self.layers, self.score, bands[:, self.first : self.last])


class Discriminators(nn.Module):
    """All of them; which kinds there are is the recipe's choice."""

    def __init__(self, shape: DiscriminatorShape, stft: bool = True, filter_bands: bool = False) -> None:
        super().__init__()
        windows = shape.windows if stft else ()
        ranges = shape.band_ranges if filter_bands else ()
        self.stft = nn.ModuleList(
            STFTDiscriminator(window, shape.channels, shape.strides, shape.dilations) for window in windows
        )
        self.banded = nn.ModuleList(BandDiscriminator(r, shape.band_channels, shape.band_strides) for r in ranges)
        self.bank = PQMF(shape.bands) if ranges else None

    def forward(self, signal: Tensor) -> list[Features]:
        """Signals ``[B, T]`` of about unit RMS to the feature maps of each discriminator."""
        found = [discriminator(signal) for discriminator in self.stft]
        if self.bank is not None:
            bands = self.bank(signal[:, : signal.shape[1] // self.bank.bands * self.bank.bands])
            found += [discriminator(bands) for discriminator in self.banded]
        return found


def _normed(layer: Any) -> Any:
    """Weight-normed (Salimans and Kingma, 2016), which keeps a discriminator's learning even."""
    nn.init.kaiming_normal_(layer.weight, SLOPE, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)
    return weight_norm(layer)


def _through(layers: nn.ModuleList, score: nn.Module, x: Tensor) -> Features:
    found = []
    for layer in layers:
        x = F.leaky_relu(layer(x), SLOPE)
        found.append(x)
    scores = score(x)
    return [*found, scores.to(torch.promote_types(scores.dtype, torch.float32))]  # losses need full precision
