"""Recipes: those that ship carry what their versions are made of, and mistakes are found before training begins."""

import pytest

from hac_cli.errors import ModelError, UsageError
from hac_cli.model.config import MAX_PARAMETERS
from hac_cli.model.network import Codec
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
        ("[whisper]\npart = 0", r"\[whisper\] part is 0; it has to be above 0 and at most 1"),
        ("[adversarial]\npart = 1.5", r"\[adversarial\] part is 1.5; it has to be above 0 and at most 1"),
        ("[spectral]\nmels = [80, 0]", "mels must be empty, or as many as windows"),
        ("[spectral\n", "not valid TOML"),
        ("extends = 5", "extends is 5; it has to be the name of a recipe"),
        ("extends = 'wrong'", "is not a recipe"),
        ("max_steps = 0", "max_steps is 0; it has to be above 0"),
        ("[crops]\nmusic = 4", r"\[crops\] music is 4; it has to be from 0 to 1"),
        ("[adversarial]\nstart = 30", "start is 30; it has to be from 0 to 1"),
        ("[optim]\nbetas = [0.9, 1.0]", r"betas is \[0.9, 1.0\]; it has to be from 0 to below 1"),
        ("seed = -1", "finite and not below 0"),
        ("[crops]\nbatch = 0", "batch is 0; it has to be above 0"),
        ("[crops]\nseconds = nan", "seconds is nan; it has to be above 0"),
        ("[crops]\nlevel = -inf", "level is -inf; it has to be finite"),
        ("[crops]\nlevel_range = [-50.0]", "has to be a list of 2 floats"),
        ("[optim]\nlearning_rate = -1", "learning_rate is -1; it has to be above 0"),
        ("[optim]\nlearning_rate = inf", "learning_rate is inf; it has to be above 0"),
        ("[optim]\nwarmup_steps = 0", "warmup_steps is 0; it has to be above 0"),
        ("[losses]\nlevel = -5.0", "level is -5.0; it has to be finite and not below 0"),
        ("[losses]\nspectral = nan", "spectral is nan; it has to be finite"),
        ("[spectral]\nwindows = []\nmels = []", r"windows is \[\]; it has to be a list of one or more"),
        ("[spectral]\nwindows = ['512', 256]", "has to be a list of ints"),
    ],
)
def test_a_mistake_in_a_recipe_is_said(text, complaint, tmp_path):
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        Recipe.read(str(tmp_path / "wrong.toml"))


def test_a_network_that_cannot_be_is_refused(tmp_path):
    for text, complaint in (
        ("sample_rate = 16000", "is 24000, that of all data"),
        ("widths = [8]", "one entry for each"),
        ("strides = [20, 0, 2, 2]", "1 or more"),
    ):
        (tmp_path / "wrong.toml").write_text(f"[model]\n{text}")
        with pytest.raises(ModelError, match=complaint):
            Recipe.read(str(tmp_path / "wrong.toml"))


def test_a_recipe_may_have_the_name_of_the_one_it_extends(tmp_path):
    (tmp_path / "v2.toml").write_text('extends = "v2"\nseed = 9\n')
    (tmp_path / "mine.toml").write_text('extends = "v2"\n[crops]\nbatch = 9\n')
    recipe = Recipe.read(str(tmp_path / "mine.toml"))
    assert (recipe.seed, recipe.crops.batch, recipe.losses) == (9, 9, Recipe.read("v2").losses)


def test_recipes_that_extend_each_other_are_refused(tmp_path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "b")):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{base}"\n')
    with pytest.raises(UsageError, match="extends itself"):
        Recipe.read(str(tmp_path / "a.toml"))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_that_ship_are_within_the_limits(path):
    recipe = Recipe.read(path.stem)
    assert Codec(recipe.model).parameter_count <= MAX_PARAMETERS
    assert recipe.model.look_ahead <= 0.040 * recipe.model.sample_rate and recipe.model.latency_seconds <= 0.060


@pytest.mark.parametrize("name", ["v1", "v1-gpu", "v1-release"])
def test_v1_has_every_component(name):
    recipe = Recipe.read(name)
    losses, model = recipe.losses, recipe.model
    assert (
        min(losses.waveform + losses.coherence, losses.spectral, losses.whisper, losses.adversarial, losses.features)
        > 0
    )
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
    assert min(losses.waveform + losses.coherence, losses.spectral, losses.adversarial, losses.features) > 0
    assert "release" in name or (losses.whisper, recipe.spectral.mels) == (0, ())
    assert recipe.adversarial.stft and not recipe.adversarial.filter_bands
    assert (model.input_scaling, model.feature_scaling, model.scale_tracking) == ("z_norm", "std", "ema")
    assert (model.hop_length, model.bitrate) == (hop, bitrate)
