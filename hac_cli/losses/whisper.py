"""Perceptual losses by a frozen Whisper: what its encoder finds in a signal, and the words that its decoder hears."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.losses.resample import Resample
from hac_cli.losses.whisper_network import (
    END,
    NO_TIMESTAMPS,
    SAMPLE_RATE,
    START,
    LogMel,
    WhisperDecoder,
    WhisperEncoder,
)

SPEECH_LEVEL = 0.1  # RMS of usual speech: the log-mel spectrogram is no pure function of shape
SPACE = 220  # a token


class WhisperLoss(nn.Module):
    """Mean over the encoder's layers of the features' distance, relative to the target's deviation over time."""

    def __init__(self, encoder: WhisperEncoder, sample_rate: int = 24_000) -> None:
        super().__init__()
        self.encoder = encoder
        self.log_mel = LogMel(encoder.mels)
        self.resample = Resample(sample_rate, SAMPLE_RATE)

    def features(self, signal: Tensor) -> list[Tensor]:
        """Of signals ``[B, T]`` of about unit RMS: ``WhisperEncoder``'s."""
        return self.encoder(self.log_mel(self.resample(SPEECH_LEVEL * signal)))

    def forward(self, features: list[Tensor], wanted: list[Tensor]) -> Tensor:
        losses = []
        for y, x in zip(features, wanted, strict=True):
            size = (x - x.mean(1, keepdim=True)).abs().mean((1, 2)).clamp_min(1e-3)
            losses.append(((y - x).abs().mean((1, 2)) / size).mean())
        return torch.stack(losses).mean()


class WordsLoss(nn.Module):
    """Kullback-Leibler divergence of the next token, mean over the first ``count`` that the target is heard to say. Of
    two seconds Whisper hears the words, but not their end: it would go on."""

    def __init__(self, decoder: WhisperDecoder, count: int = 6) -> None:
        super().__init__()
        self.decoder, self.count = decoder, count

    def forward(self, memory: Tensor, wanted: Tensor) -> Tensor:
        """The encoder's output ``[B, F, width]`` for a signal and for its target."""
        tokens, logits = self.transcript(wanted)
        expected = logits.log_softmax(-1)
        guessed = self.decoder(tokens[:, :-1], memory, self.count).log_softmax(-1)
        return (expected.exp() * (expected - guessed)).sum(-1).mean()

    @torch.no_grad()
    def transcript(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """What is heard, by the likeliest token each time, ``[B, 2 + count]``, behind the two that ask for English
        text; and the logits of those heard."""
        tokens = torch.tensor([[START, NO_TIMESTAMPS]], device=memory.device).expand(len(memory), -1)
        found = []
        for _ in range(self.count):
            found.append(self.decoder(tokens, memory, 1))
            text = found[-1][:, 0, :END].index_fill(-1, torch.tensor([SPACE], device=memory.device), -torch.inf)
            tokens = torch.cat([tokens, text.argmax(-1, keepdim=True)], 1)
        return tokens, torch.cat(found, 1)
