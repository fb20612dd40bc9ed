"""Recipes: those that ship carry what their versions are made of, and mistakes are found before training begins."""

import pytest

from hac_cli.errors import UsageError
from hac_cli.model.config import MAX_PARAMETERS
from hac_cli.model.network import count
from hac_cli.train.recipe import RECIPES, Recipe


def test_recipes_extend_and_refuse_unknown_keys(tmp_path):
    (tmp_path / "base.toml").write_text("seed = 4\n[crops]\nbatch = 3\nseconds = 0.5\n")
    (tmp_path / "mine.toml").write_text('extends = "base"\n[crops]\nbatch = 9\n')
    recipe = Recipe.read(str(tmp_path / "mine.toml"))
    assert (recipe.seed, recipe.crops.batch, recipe.crops.seconds) == (4, 9, 0.5)
    with pytest.raises(UsageError, match="reconstruction"):
        Recipe.read("no-such-recipe")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[crops]\nbach = 9", r"'bach' in \[crops\]"),
        ("[crop]\nbatch = 9", r"'crop' in \[recipe\]"),
        ("seed = 'one'", "seed is 'one'; it has to be of type int"),
        ("large = 1", "has to be of type bool"),
        ("crops = 3", "crops is 3"),
        ("[spectral]\nwindows = 512", "windows is 512; it has to be a list"),
        ("[model]\nfeature_scaling = 'var'", "has to be one of std, mean_abs"),
        ("[adversarial]\nkind = 'wasserstein'", "has to be one of hinge, least_squares"),
        ("[adversarial]\nsize = 'huge'", "size is 'huge'; known are cpu, full"),
        ("[spectral]\nmels = [80, 0]", "mels must be empty, or as many as windows"),
        ("[spectral\n", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_recipe_is_said(text, complaint, tmp_path):
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        Recipe.read(str(tmp_path / "wrong.toml"))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_that_ship_are_within_the_limits(path):
    recipe = Recipe.read(path.stem)
    assert count(recipe.model) <= MAX_PARAMETERS
    assert recipe.model.look_ahead <= 0.040 * recipe.model.sample_rate and recipe.model.latency_seconds <= 0.060


@pytest.mark.parametrize("name", ["v1", "v1-gpu", "v1-release"])
def test_v1_has_every_component(name):
    recipe = Recipe.read(name)
    losses, model = recipe.losses, recipe.model
    assert min(losses.waveform, losses.spectral, losses.whisper, losses.adversarial, losses.features) > 0
    assert recipe.spectral.mels and recipe.adversarial.stft and recipe.adversarial.filter_bands
    assert (model.input_scaling, model.feature_scaling, model.scale_tracking) == ("none", "mean_abs", "batch")


@pytest.mark.parametrize(
    ("name", "hop", "bitrate"),
    [
        ("v2", 320, 1350),
        ("v2-gpu", 320, 1350),
        ("v2-release", 320, 1350),
        ("v2-150", 160, 2700),
        ("v2-150-release", 160, 2700),
    ],
)
def test_v2_has_every_component(name, hop, bitrate):
    recipe = Recipe.read(name)
    losses, model = recipe.losses, recipe.model
    assert min(losses.waveform, losses.spectral, losses.adversarial, losses.features) > 0
    assert losses.whisper == (0.7 if "release" in name else 0)
    assert recipe.spectral.mels == ((12, 24, 48, 80, 0) if "release" in name else ())  # 0: STFT bins
    assert recipe.adversarial.stft and not recipe.adversarial.filter_bands
    assert (model.input_scaling, model.feature_scaling, model.scale_tracking) == ("z_norm", "std", "ema")
    assert (model.hop_length, model.bitrate) == (hop, bitrate)
