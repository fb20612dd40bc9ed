"""What the encoder had better said: heard from what the decoder made of it, without a gradient. Signals are ``[B, T]``.

Where a band of the output came back weaker than it was, the input is made louder, and the other way round; of such an
input the encoder makes tokens that decode to something nearer to what was meant. It learns to say that at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hac_cli.losses.hearing import mel_filters
from hac_cli.model.parallel import shared_mean

WINDOW = 1024  # 43 ms at 24 kHz
BANDS = 32
SMOOTHING = 5  # steps of a quarter of a window
FLOOR = 1e-3  # of a clip's largest magnitude in a band
MOST = 4.0  # times that a band is made louder, or weaker, before the strength counts
STRENGTH = 0.5


class Feedback(nn.Module):
    """Makes of an input what is to be said instead."""

    taper: Tensor
    filters: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = torch.from_numpy(mel_filters(WINDOW // 2 + 1, BANDS))
        spread = filters / filters.sum(1, keepdim=True).clamp_min(1e-9)
        self.register_buffer("taper", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("spread", spread.T.contiguous(), persistent=False)

    def forward(self, audio: Tensor, output: Tensor) -> Tensor:
        """``audio`` as it should be coded next time, when it came back as ``output``, which may be shorter.

        What a band lost at all times, or all clips alike, is left to the decoder: asked for more of that, the encoder
        says something else. What a clip as a whole lost against the others of the batch is not.
        """
        spectrum = self._spectrum(audio)
        meant = self._bands(spectrum)
        rest = audio[:, output.shape[1] :]  # of which nothing is known: it is left as it is
        found = self._bands(self._spectrum(torch.cat([output, rest], 1)))
        floor = FLOOR * meant.amax((1, 2), keepdim=True).clamp_min(1e-6)
        gains = ((meant + floor) / (found + floor)).clamp(1 / MOST, MOST).log()
        gains = F.avg_pool1d(gains.mT, SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False).mT
        usual = (gains * meant).sum(1, keepdim=True) / meant.sum(1, keepdim=True).clamp_min(1e-6)
        level = usual.mean(2, keepdim=True)
        change = (STRENGTH * (gains - usual + level - shared_mean(level.mean(0))) @ self.spread).exp().mT
        return torch.istft(spectrum * change, WINDOW, WINDOW // 4, window=self.taper, length=audio.shape[1])

    def _spectrum(self, signal: Tensor) -> Tensor:
        return torch.stft(signal, WINDOW, WINDOW // 4, window=self.taper, return_complex=True)

    def _bands(self, spectrum: Tensor) -> Tensor:
        """Magnitudes ``[B, steps, bands]``."""
        return (spectrum.abs().square().mT @ self.filters).sqrt()
