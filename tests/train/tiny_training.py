"""What the tests of training share: a network, discriminators and crops as small as they get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hac_cli.losses.discriminators import SIZES, DiscriminatorShape
from hac_cli.model.config import ModelConfig
from hac_cli.train.crops import Crops, CropSettings
from hac_cli.train.data import Corpus
from hac_cli.train.loop import Trainer
from hac_cli.train.recipe import AdversarialSettings, BalancerSettings, EvaluationSettings, Recipe, SpectralSettings

SIZES["tiny"] = DiscriminatorShape(
    windows=(256,), channels=(4,), strides=(4,), dilations=(1,),
    bands=4, band_ranges=((0, 4),), band_channels=(4,), band_strides=(2,),
)  # fmt: skip

TINY = ModelConfig(name="tiny", widths=(4, 6, 8, 10), blocks=(1, 1, 1, 1))
RECIPE = Recipe(
    max_steps=6,
    model=TINY,
    crops=CropSettings(seconds=0.2, batch=2),
    spectral=SpectralSettings(windows=(256, 512), mels=(20, 30)),
    evaluation=EvaluationSettings(seconds=0.5, clips=2, samples=1),
)
ADVERSARIAL = replace(
    RECIPE,
    dither=0.15,
    losses=replace(RECIPE.losses, adversarial=0.5, features=0.5, loudness=1.0, feedback=1.0, foretold=1.0),
    adversarial=AdversarialSettings(size="tiny", filter_bands=True, start=0.3, ramp_steps=2),
    balancer=BalancerSettings(on=True),
    optim=replace(RECIPE.optim, muon=True),
)
TINY_RECIPE = """
[model]
name = "tiny"
widths = [4, 6, 8, 10]
blocks = [1, 1, 1, 1]
[spectral]
windows = [256]
mels = [20]
[crops]
seconds = 0.2
batch = 1
[evaluation]
seconds = 0.5
"""


def make_trainer(corpus: Corpus, folder: Path, recipe: Recipe = RECIPE, **arguments: Any) -> Trainer:
    return Trainer(recipe, Crops(corpus, recipe.crops, 7), folder, budget_seconds=1e9, compiled=False, **arguments)
