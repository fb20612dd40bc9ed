"""The generator's loss terms: those alone that the recipe gives a weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.losses.colour import ColourLoss
from hac_cli.losses.envelope import EnvelopeLoss
from hac_cli.losses.level import level_loss
from hac_cli.losses.lines import LinesLoss
from hac_cli.losses.loudness import LoudnessLoss
from hac_cli.losses.spectral import SpectralLoss, waveform_loss
from hac_cli.losses.whisper import WhisperLoss, find_checkpoint, load_encoder
from hac_cli.losses.words import WordsLoss, load_decoder
from hac_cli.model.quantizer import commitment, entropy_gap
from hac_cli.train.recipe import Recipe

Terms = dict[str, Tensor]


def heard(signal: Tensor, part: float) -> slice:
    """The clips of a batch ``[B, T]`` that a dear term hears: crops are drawn at random, so the first will do."""
    return slice(max(1, round(part * len(signal))))


class Objective(nn.Module):
    """Reconstruction, perceptual and quantizer terms, unweighted. The adversarial ones are the adversary's."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.weights = recipe.losses
        settings = recipe.spectral
        self.spectral = SpectralLoss(
            settings.windows, settings.mels, recipe.model.sample_rate, settings.linear, settings.log_floor
        )
        self.envelope = EnvelopeLoss(recipe.model.sample_rate)
        self.loudness = LoudnessLoss(recipe.model.sample_rate)
        self.colour = ColourLoss(recipe.model.sample_rate)
        self.lines = LinesLoss(recipe.model.sample_rate)
        self.whisper: WhisperLoss | None = None
        self.words: WordsLoss | None = None
        if self.weights.whisper or self.weights.words:
            checkpoint = find_checkpoint(recipe.whisper.checkpoint)
            self.whisper = WhisperLoss(load_encoder(checkpoint), recipe.model.sample_rate)
            self.words = WordsLoss(load_decoder(checkpoint)) if self.weights.words else None
        self.whisper_part = recipe.whisper.part

    def signal_terms(self, output: Tensor, target: Tensor) -> Terms:
        """Of signals ``[B, T]`` at the target's level (``normalize_level``)."""
        terms = {}
        if self.weights.waveform:
            terms["waveform"] = waveform_loss(output, target)
        if self.weights.spectral:
            terms["spectral"] = self.spectral(output, target)
        if self.weights.envelope:
            terms["envelope"] = self.envelope(output, target)
        if self.weights.loudness:
            terms["loudness"] = self.loudness(output, target)
        if self.weights.level:
            terms["level"] = level_loss(output, target)
        if self.weights.colour:
            terms["colour"] = self.colour(output, target)
        if self.weights.lines:
            terms["lines"] = self.lines(output, target)
        if self.whisper is not None:
            terms |= self.whisper_terms(output, target)
        return terms

    def whisper_terms(self, output: Tensor, target: Tensor) -> Terms:
        assert self.whisper is not None
        few = heard(output, self.whisper_part)
        with torch.no_grad():
            wanted = self.whisper.features(target[few])
        features = self.whisper.features(output[few])
        terms = {"whisper": self.whisper(features, wanted)}
        if self.words is not None:
            terms["words"] = self.words(features[-1], wanted[-1])
        return terms

    def latent_terms(self, latents: Tensor) -> Terms:
        terms = {}
        if self.weights.entropy:
            terms["entropy"] = entropy_gap(latents)
        if self.weights.commitment:
            terms["commitment"] = commitment(latents)
        return terms
