"""Learning from what a Whisper hears: one as small as it gets, in a file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import ADVERSARIAL, RECIPE, make_trainer
from tiny_whisper import write_whisper

from hac_cli.errors import ModelError
from hac_cli.losses.whisper import load_encoder
from hac_cli.train.recipe import WhisperSettings


def hearing(folder, recipe=RECIPE, part=1.0, **weights):
    settings = WhisperSettings(str(write_whisper(folder / "model.bin")), part)
    return replace(recipe, whisper=settings, losses=replace(recipe.losses, whisper=1.0, **weights))


def test_what_whisper_hears_is_learned_from(corpus, tmp_path):
    recipe = hearing(tmp_path, waveform=0, spectral=0, envelope=0)
    trainer = make_trainer(corpus, tmp_path, recipe)
    before = trainer.learner.model.decoder[0].weight.clone()
    values = trainer.train_step()
    assert not {"waveform", "spectral", "envelope"} & values.keys()
    expected = values["whisper"] + recipe.losses.entropy * values["entropy"]
    assert values["whisper"] > 0 and values["total"] == pytest.approx(expected)
    assert not torch.equal(before, trainer.learner.model.decoder[0].weight)


def test_dear_terms_may_hear_a_part_of_the_clips(corpus, tmp_path):
    judged = replace(ADVERSARIAL, dither=0.0, adversarial=replace(ADVERSARIAL.adversarial, start=0.0, part=0.5))
    judged = hearing(tmp_path, judged, part=0.5)
    audio = torch.from_numpy(make_trainer(corpus, tmp_path, judged).crops.batch(0))
    found = []
    for clips in (audio, audio[:1]):
        trainer = make_trainer(corpus, tmp_path, judged)
        found.append(trainer.learner.step(clips, trainer.schedule))
    for term in ("whisper", "adversarial", "features", "discriminator"):
        assert found[0][term] == pytest.approx(found[1][term], rel=1e-4), term
    assert found[0]["spectral"] != pytest.approx(found[1]["spectral"], rel=1e-4)


def test_weights_in_integers_are_refused(tmp_path):
    with pytest.raises(ModelError, match="in floating point: a weight is int8"):
        load_encoder(write_whisper(tmp_path / "model.bin", kind=np.int8))
