"""Training in processes of its own: it ends well, and two over gloo train what one does with the doubled batch."""

import shutil
import sys
import time
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny_training import ADVERSARIAL, RECIPE, TINY, TINY_RECIPE, make_trainer

from hac_cli.cli.app import run as command
from hac_cli.train import checkpoint
from hac_cli.train.schedule import Schedule

# tracked scales as in v2, and a batch's own with their gradient as in v1; each process has the same dither
RECIPES = {
    kind: replace(
        ADVERSARIAL, dither=0.0, model=replace(TINY, feature_scaling=kind, scale_tracking=tracking), max_steps=5
    )
    for kind, tracking in (("std", "ema"), ("mean_abs", "batch"))
}
pytestmark = pytest.mark.slow


def one_of_two(rank, corpus, folder):
    """What torchrun would start, for each recipe."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.set_num_threads(1)
    for name, recipe in RECIPES.items():
        trainer = make_trainer(corpus, folder / name, recipe)
        while not trainer.schedule.finished:
            trainer.train_step()
            trainer.schedule.advance(0.0)
        assert trainer.schedule.step == recipe.max_steps
        if rank == 0:
            trainer.save()
    schedule = Schedule(RECIPE.optim, max_steps=100, budget=100.0)
    schedule.advance(float(rank))  # the first one's clock counts
    schedule.stopping = rank == 1
    assert schedule.elapsed == 0 and not schedule.finished  # a signal between two steps reaches one of them first
    schedule.advance(1.0)
    assert schedule.elapsed == 1 and schedule.finished
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def server():
    """Where processes come from that have loaded torch already, which takes each of them seconds."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["hac_cli.train.run", "torch._dynamo", "hac_cli.cli.app"])
    return context


@pytest.fixture(scope="module")
def together(server, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    mp.start_processes(one_of_two, (corpus, folder), nprocs=2, start_method=server.get_start_method())
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


def test_one_process_that_takes_up_the_run_of_two_says_so(together, corpus, tmp_path):
    name = next(iter(RECIPES))
    shutil.copytree(together / name, tmp_path / name)
    alone = make_trainer(corpus, tmp_path / name, replace(RECIPES[name], max_steps=6))
    alone.resume()
    assert [line for line in alone.changes if line.startswith("processes: 2 before, 1 now")]
    alone.save()
    alone.resume()
    assert not [line for line in alone.changes if line.startswith("processes")]


def train_on(folder, recipe, run, output):
    with output.open("w", buffering=1) as sys.stdout:
        code = command(["train", str(recipe), "--data", str(folder), "--out", str(run), "--max-minutes", "9",
                        "--no-compile"])  # fmt: skip
    sys.exit(code)


def test_sigterm_saves_and_ends(server, folder, tmp_path):
    output, recipe = tmp_path / "said", tmp_path / "tiny.toml"
    recipe.write_text(TINY_RECIPE)
    process = server.Process(target=train_on, args=(folder, recipe, tmp_path / "run", output))
    process.start()
    while not (output.exists() and any(map(tells_a_step, output.open()))):
        assert process.is_alive()
        time.sleep(0.05)
    process.terminate()
    process.join(120)
    assert process.exitcode == 143
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt")["step"] >= 5


def tells_a_step(line):
    return line.startswith("step") and line.endswith(" min\n")
