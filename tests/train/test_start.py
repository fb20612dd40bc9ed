"""What a run can't start from, or weights be made of, is said."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from tiny_training import RECIPE, TINY, make_trainer

from hac_cli.errors import ModelError
from hac_cli.model.engine import load_weights
from hac_cli.model.network import Codec
from hac_cli.model.release import save_release
from hac_cli.train.release import export


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"look_ahead": TINY.look_ahead + 640, "decoder_taps": 2}, "decoder_taps has to be 3 or more"),
        ({"look_ahead": TINY.look_ahead - 320}, "look_ahead has to be more than 320"),
    ],
)
def test_a_decoder_that_would_lose_what_it_learned_is_refused(change, complaint, corpus, tmp_path):
    first = make_trainer(corpus, tmp_path / "first")
    first.save()
    after = make_trainer(corpus, tmp_path / "after", replace(RECIPE, model=replace(TINY, **change)))
    with pytest.raises(ModelError, match=complaint):
        after.start_from(first.checkpoint_path)


@pytest.mark.parametrize("state", [None, torch.zeros(3), {"state_dict": {}}, {"config": 5}])
def test_a_file_that_is_no_checkpoint_is_refused(state, corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path / "run")
    trainer.save()
    path = tmp_path / "other.pt"
    if state is None:
        path.write_bytes(b"junk")
    elif isinstance(state, dict):
        torch.save(state if "config" not in state else torch.load(trainer.checkpoint_path) | state, path)
    else:
        torch.save(state, path)
    for use in (trainer.start_from, lambda path: export(path, tmp_path / "out.safetensors", {})):
        with pytest.raises(ModelError, match="not a checkpoint of a training run") as said:
            use(path)
        assert "weights_only" not in str(said.value)
    assert not (tmp_path / "out.safetensors").exists()


def test_a_checkpoint_that_is_cut_off_is_refused(corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path)
    trainer.save()
    content = trainer.checkpoint_path.read_bytes()
    trainer.checkpoint_path.write_bytes(content[: len(content) // 2])
    for use in (trainer.resume, lambda: trainer.start_from(trainer.checkpoint_path)):
        with pytest.raises(ModelError, match="not a checkpoint of a training run"):
            use()
    with pytest.raises(ModelError, match="no checkpoint can be read there: Is a directory"):
        trainer.start_from(tmp_path)


@pytest.mark.parametrize("about", [None, {"format": "pt"}, {"config": "5"}, {"config": "{'a'"}])
def test_weights_of_others_are_refused(about, corpus, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, path, about)
    for use in (make_trainer(corpus, tmp_path).start_from, load_weights, lambda path: load_weights(path, "torch")):
        with pytest.raises(ModelError, match="not a weights file of HAC"):
            use(path)
    save_file({"a": torch.zeros(3)}, path, {"config": '{"depth": 3}'})
    with pytest.raises(ModelError, match=r"other.safetensors: unknown model setting 'depth'"):
        load_weights(path)


def test_weights_that_are_cut_off_are_refused(corpus, tmp_path):
    path = tmp_path / "cut.safetensors"
    save_release(Codec(TINY), path, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="doesn't hold the network"):
        make_trainer(corpus, tmp_path).start_from(path)
