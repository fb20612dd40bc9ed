"""The generator's loss terms: those alone that the recipe gives a weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor, nn

from hac_cli.losses.bits import commitment, entropy_gap
from hac_cli.losses.coherence import CoherenceLoss
from hac_cli.losses.colour import ColourLoss
from hac_cli.losses.envelope import EnvelopeLoss
from hac_cli.losses.level import level_loss
from hac_cli.losses.lines import LinesLoss
from hac_cli.losses.loudness import LoudnessLoss
from hac_cli.losses.spectral import SpectralLoss, waveform_loss
from hac_cli.losses.whisper import WhisperLoss, find_checkpoint, load_encoder
from hac_cli.train.recipe import Recipe

Terms = dict[str, Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]

SIGNAL: dict[str, Callable[[Recipe], Distance]] = {
    "waveform": lambda recipe: waveform_loss,
    "coherence": lambda recipe: CoherenceLoss(),
    "spectral": lambda recipe: SpectralLoss(**asdict(recipe.spectral)),
    "envelope": lambda recipe: EnvelopeLoss(),
    "loudness": lambda recipe: LoudnessLoss(),
    "level": lambda recipe: level_loss,
    "colour": lambda recipe: ColourLoss(),
    "lines": lambda recipe: LinesLoss(),
    "whisper": lambda recipe: WhisperLoss(load_encoder(find_checkpoint(recipe.whisper.checkpoint))),
}
LATENT: dict[str, Callable[[Tensor], Tensor]] = {"entropy": entropy_gap, "commitment": commitment}


def heard(signal: Tensor, part: float) -> slice:
    """The clips of a batch ``[B, T]`` that a dear term hears: crops are drawn at random, so the first will do."""
    return slice(max(1, round(part * len(signal))))


class Objective:
    """Reconstruction, perceptual and quantizer terms, unweighted. The adversarial ones are the adversary's.

    Raises ModelError where Whisper is asked for and has no weights.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        weights = recipe.losses
        made = {name: make(recipe) for name, make in SIGNAL.items() if getattr(weights, name)}
        self.signal = {name: term.to(device) if isinstance(term, nn.Module) else term for name, term in made.items()}
        self.latent = {name: term for name, term in LATENT.items() if getattr(weights, name)}
        self.part = recipe.whisper.part

    def signal_terms(self, output: Tensor, target: Tensor) -> Terms:
        """Of signals ``[B, T]`` at the target's level (``normalize_level``)."""
        terms = {}
        for name, term in self.signal.items():
            clips = heard(output, self.part) if name == "whisper" else slice(None)
            terms[name] = term(output[clips], target[clips])
        return terms

    def latent_terms(self, latents: Tensor) -> Terms:
        return {name: term(latents) for name, term in self.latent.items()}
