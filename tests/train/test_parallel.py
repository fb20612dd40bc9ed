"""Two processes over gloo train the network that one process trains with the doubled batch."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny_training import ADVERSARIAL, TINY, make_trainer

from hac_cli.train import checkpoint

# tracked scales as in v2, and a batch's own with their gradient as in v1
RECIPES = {
    kind: replace(ADVERSARIAL, model=replace(TINY, feature_scaling=kind, scale_tracking=tracking), max_steps=5)
    for kind, tracking in (("std", "ema"), ("mean_abs", "batch"))
}


def one_of_two(rank, corpus, folder):
    """What torchrun would start, for each recipe."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.set_num_threads(1)
    for name, recipe in RECIPES.items():
        trainer = make_trainer(corpus, folder / name, recipe)
        for _ in range(recipe.max_steps):
            trainer.train_step()
            trainer.schedule.advance(0.0)
        if rank == 0:
            trainer.save()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    mp.spawn(one_of_two, (corpus, folder), nprocs=2)
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_equal_one_with_the_doubled_batch(name, together, corpus, tmp_path):
    recipe = RECIPES[name]
    alone = make_trainer(corpus, tmp_path, replace(recipe, crops=replace(recipe.crops, batch=4)))
    before = {key: value.clone() for key, value in alone.learner.model.state_dict().items()}
    for _ in range(recipe.max_steps):
        alone.train_step()
        alone.schedule.advance(0.0)
    two = checkpoint.load(together / name / "checkpoint.pt")
    for part, module in (("model", alone.learner.model), ("average", alone.learner.average)):
        for key, value in module.state_dict().items():
            torch.testing.assert_close(two[part][key], value, atol=2e-5, rtol=1e-4, msg=lambda m, k=key: f"{k}: {m}")
    moved = [(value - before[key]).abs().max() for key, value in alone.learner.model.state_dict().items()]
    assert max(moved) > 1e-3
    for key, value in alone.learner.adversary.discriminators.state_dict().items():
        torch.testing.assert_close(two["adversary"]["discriminators"][key], value, atol=2e-5, rtol=1e-4)
