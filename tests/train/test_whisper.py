"""Learning from what a Whisper hears: one as small as it gets, in a file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import ADVERSARIAL, RECIPE, make_trainer
from tiny_whisper import write_whisper

from hac_cli.errors import ModelError
from hac_cli.losses.whisper_network import VOCABULARY, load_decoder, load_encoder
from hac_cli.train.recipe import WhisperSettings


def hearing(folder, recipe=RECIPE, part=1.0, **weights):
    settings = WhisperSettings(str(write_whisper(folder / "model.bin")), part)
    return replace(recipe, whisper=settings, losses=replace(recipe.losses, **weights))


@pytest.mark.parametrize("terms", [{"whisper"}, {"words"}, {"whisper", "words"}], ids=" and ".join)
def test_what_whisper_hears_is_learned_from(terms, corpus, tmp_path):
    others = {"waveform": 0, "spectral": 0, "envelope": 0}
    recipe = hearing(tmp_path, **others, **dict.fromkeys(terms, 1.0))
    trainer = make_trainer(corpus, tmp_path, recipe)
    before = trainer.learner.model.decoder[0].weight.clone()
    values = trainer.train_step()
    assert {"whisper", "words", *others} & values.keys() == terms
    assert all(values[term] > 0 for term in terms)
    expected = sum(values[term] for term in terms) + recipe.losses.entropy * values["entropy"]
    assert values["total"] == pytest.approx(expected)
    assert not torch.equal(before, trainer.learner.model.decoder[0].weight)


def test_dear_terms_may_hear_a_part_of_the_clips(corpus, tmp_path):
    judged = replace(ADVERSARIAL, adversarial=replace(ADVERSARIAL.adversarial, start=0.0, part=0.5))
    judged = hearing(tmp_path, judged, part=0.5, whisper=1.0, words=1.0)
    audio = torch.from_numpy(make_trainer(corpus, tmp_path, judged).crops.batch(0))
    found = []
    for clips in (audio, audio[:1]):
        trainer = make_trainer(corpus, tmp_path, judged)
        found.append(trainer.learner.step(clips, trainer.schedule))
    for term in ("whisper", "words", "adversarial", "features", "discriminator"):
        assert found[0][term] == pytest.approx(found[1][term], rel=1e-4), term
    assert found[0]["spectral"] != pytest.approx(found[1]["spectral"], rel=1e-4)


@pytest.mark.parametrize("load", [load_encoder, load_decoder])
def test_weights_in_integers_are_refused(load, tmp_path):
    with pytest.raises(ModelError, match="in floating point: a weight is int8"):
        load(write_whisper(tmp_path / "model.bin", kind=np.int8))


def test_words_of_many_languages_are_refused(tmp_path):
    with pytest.raises(ModelError, match=f"51865 tokens, an English model has {VOCABULARY}"):
        load_decoder(write_whisper(tmp_path / "model.bin", vocabulary=51_865))
