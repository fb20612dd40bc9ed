"""A recogniser small enough to listen to every try of a search: what it makes of speech keeps words apart.

Whisper's encoder (Radford et al., 2022) of which the first and the last layer are left, and which sees the spectra that
a search has anyway. ``train.recogniser`` teaches it the features of the whole; ``hac_cli.recogniser`` is the same
without torch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hac_cli.losses.hearing import LOUDNESS_WINDOW, RECOGNISER_FLOOR, RECOGNISER_MELS, hann, mel_filters, sinusoids
from hac_cli.losses.spectrum import squares
from hac_cli.losses.whisper import Layer, feature_distance

WIDTH, HEADS, LAYERS = 384, 6, 2


class Recogniser(nn.Module):
    """Signals ``[B, T]`` of about unit RMS to features ``[B, positions, WIDTH]``, 32 ms apart."""

    taper: Tensor
    bands: Tensor
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taper", torch.from_numpy(hann(LOUDNESS_WINDOW)) * (2 / LOUDNESS_WINDOW), persistent=False)
        bands = torch.from_numpy(mel_filters(LOUDNESS_WINDOW // 2 + 1, RECOGNISER_MELS))
        self.register_buffer("bands", bands.repeat_interleave(2, 0), persistent=False)
        self.register_buffer("mean", torch.zeros(RECOGNISER_MELS))
        self.conv1 = nn.Conv1d(RECOGNISER_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(Layer(WIDTH, HEADS, gelu="tanh") for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def logs(self, signal: Tensor) -> Tensor:
        """Log magnitudes in mel bands ``[B, steps, RECOGNISER_MELS]``, 16 ms a step."""
        power = squares(signal, self.taper, LOUDNESS_WINDOW // 2) @ self.bands
        return ((power + 1e-9).sqrt() + RECOGNISER_FLOOR).log()

    def features(self, logs: Tensor, offset: float = 0.0) -> Tensor:
        """Those of ``logs``. ``offset`` moves the positions on, in Whisper's steps."""
        x = F.gelu(self.conv1((logs - self.mean).transpose(1, 2)), approximate="tanh")
        x = F.gelu(self.conv2(x), approximate="tanh").transpose(1, 2)
        x = x + torch.from_numpy(sinusoids(x.shape[1], WIDTH, offset))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, signal: Tensor) -> Tensor:
        return self.features(self.logs(signal))


class RecogniserLoss(nn.Module):
    """Distance of features, relative to the target's deviation over time."""

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Signals ``[B, T]`` of about unit RMS."""
        with torch.no_grad():
            x = self.recogniser(target)
        return feature_distance(self.recogniser(output), x)


def from_tensors(tensors: Mapping[str, NDArray]) -> Recogniser:
    """That of ``hac_cli.recogniser.read_tensors``."""
    network = Recogniser()
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict({
        name: torch.from_numpy(array).reshape(len(array), -1, shapes[name][1]).movedim(1, -1)
        if len(shapes[name]) == 3 else torch.from_numpy(array)
        for name, array in tensors.items()
    })  # fmt: skip
    return network
