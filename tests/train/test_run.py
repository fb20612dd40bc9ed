"""Training on a small network: that it learns, stops, resumes, evaluates, and refuses what it should."""

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import ADVERSARIAL, RECIPE, TINY, TINY_RECIPE, make_trainer

import hac_cli
from hac_cli.errors import HacError, ModelError, OutputError, UsageError
from hac_cli.train import checkpoint, data
from hac_cli.train.evaluation import Evaluation, pick
from hac_cli.train.release import export


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stop_after(trainer, step: int) -> None:
    """Like a signal during that step."""
    learn = trainer.train_step
    trainer.train_step = lambda: (setattr(trainer.schedule, "stopping", trainer.schedule.step == step - 1), learn())[1]


@pytest.mark.parametrize(("recipe", "workers"), [(RECIPE, 0), (RECIPE, 2), (ADVERSARIAL, 0)],
                         ids=["reconstruction", "crops drawn ahead", "adversarial"])  # fmt: skip
def test_a_resumed_run_equals_an_uninterrupted_one(recipe, workers, corpus, tmp_path):
    whole = make_trainer(corpus, tmp_path / "whole", recipe, workers=workers)
    whole.run(quiet=True, log_every=1)
    first = make_trainer(corpus, tmp_path / "parts", recipe, workers=workers)
    stop_after(first, 3)
    first.run(quiet=True)
    assert not multiprocessing.active_children()
    assert [line["step"] for line in lines(tmp_path / "parts" / "log.jsonl")] == [3]  # nothing that was seen is lost
    second = make_trainer(corpus, tmp_path / "parts", recipe, workers=workers)
    second.resume()
    assert second.schedule.step == 3
    second.run(quiet=True)

    assert whole.schedule.step == second.schedule.step == 6
    one, two = (checkpoint.load(trainer.checkpoint_path) for trainer in (whole, second))
    for part in ("model", "average", "adversary", "foreteller", "optimizers", "balancer", "random"):
        assert_equal(one[part], two[part], part)
    if recipe is ADVERSARIAL:
        seen = lines(tmp_path / "whole" / "log.jsonl")
        assert ["discriminator" in line for line in seen] == [False, False, True, True, True, True]
        assert one["adversary"]["joined_at"] == 2


def test_a_resumed_run_has_the_settings_of_its_recipe(corpus, tmp_path):
    first = make_trainer(corpus, tmp_path, ADVERSARIAL)
    stop_after(first, 3)
    first.run(quiet=True)
    optim = replace(ADVERSARIAL.optim, betas=(0.5, 0.6), weight_decay=0.3)
    adversarial = replace(ADVERSARIAL.adversarial, betas=(0.4, 0.7), weight_decay=0.2)
    second = make_trainer(corpus, tmp_path, replace(ADVERSARIAL, optim=optim, adversarial=adversarial))
    second.resume()
    adam, muon, judges = (*second.learner.optimizers, second.learner.adversary.optimizer)
    groups = [optimizer.param_groups[0] for optimizer in (adam, muon, judges)]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.3, 0.2]
    assert groups[0]["betas"] == (0.5, 0.6) and groups[2]["betas"] == (0.4, 0.7)
    moments = [optimizer.state_dict()["state"] for optimizer in (adam, muon)]
    assert_equal(moments, [saved["state"] for saved in checkpoint.load(first.checkpoint_path)["optimizers"]], "moments")


def test_audio_that_was_heard_stays_heard_whatever_batches_come(corpus, tmp_path):
    first = make_trainer(corpus, tmp_path)
    stop_after(first, 3)
    first.run(quiet=True)
    second = make_trainer(corpus, tmp_path, replace(RECIPE, crops=replace(RECIPE.crops, batch=8)))
    second.resume()
    assert second.facts()["audio_hours"] == pytest.approx(3 * 2 * 0.2 / 3600)
    second.run(quiet=True)
    assert second.facts()["audio_hours"] == pytest.approx((3 * 2 + 3 * 8) * 0.2 / 3600)


def test_a_judge_that_fails_costs_no_weights(corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path, replace(RECIPE, evaluation=replace(RECIPE.evaluation, minutes=1e-6)))
    trainer.evaluation = lambda model, step: (_ for _ in ()).throw(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        trainer.run(quiet=True)
    assert checkpoint.load(trainer.checkpoint_path)["step"] == 1


def test_without_evaluation_nothing_is_saved_for_it(corpus, tmp_path, monkeypatch):
    trainer = make_trainer(corpus, tmp_path, replace(RECIPE, evaluation=replace(RECIPE.evaluation, minutes=0)))
    steps = []
    monkeypatch.setattr(trainer, "save", lambda: steps.append(trainer.schedule.step))
    trainer.run(quiet=True)
    assert steps == [6]


def test_what_a_killed_run_was_writing_goes(corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path)
    trainer.save()
    (tmp_path / ".hac-6521ddf5.pt").write_bytes(b"half a checkpoint")
    make_trainer(corpus, tmp_path).resume()
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".pt"]


def test_whoever_writes_beside_a_checkpoint_leaves_it_alone(corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path)
    trainer.save()
    with checkpoint.replaced(trainer.checkpoint_path.with_suffix(".safetensors")) as partial:
        partial.write_bytes(b"weights")
        trainer.save()
    assert checkpoint.load(trainer.checkpoint_path)["step"] == 0
    assert trainer.checkpoint_path.with_suffix(".safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("seconds", [1.16, 2.28, 4.6])
def test_whole_frames_are_whole_however_they_are_written(seconds, corpus, tmp_path):
    speech = data.Clip(Path("x"), "speech", "dora", np.ones(24_000 * 5, np.int16))
    recipe = replace(RECIPE, crops=replace(RECIPE.crops, seconds=seconds))
    assert make_trainer(data.Corpus([speech]), tmp_path, recipe).crops.length == round(seconds * 75) * 320


@pytest.mark.parametrize("tracking", ["ema", "batch"])
@pytest.mark.parametrize(("frozen", "learning"), [("decoder", "encoder"), ("encoder", "decoder")])
def test_a_frozen_half_stays_as_it_is(frozen, learning, tracking, corpus, tmp_path):
    model = replace(TINY, scale_tracking=tracking)
    trainer = make_trainer(corpus, tmp_path, replace(ADVERSARIAL, model=model, frozen=frozen))
    before = {name: value.clone() for name, value in trainer.learner.model.state_dict().items()}
    trainer.run(quiet=True)
    after = checkpoint.load(trainer.checkpoint_path)["model"]
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {learning}


def assert_equal(one, two, where):
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert_equal(value, two[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(two)
        for index, pair in enumerate(zip(one, two, strict=True)):
            assert_equal(*pair, f"{where}.{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    else:
        assert one == two, where


def test_a_run_from_nothing_knows_how_loud_its_input_is(corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path)
    trainer.begin()
    heard = np.concatenate([trainer.crops.batch(number) for number in range(200)])
    for model in (trainer.learner.model, trainer.learner.average):
        assert float(model.input_scale.scale) == pytest.approx(heard.std(), rel=0.2)
    plain = make_trainer(corpus, tmp_path, replace(RECIPE, model=replace(TINY, input_scaling="none")))
    plain.begin()
    assert float(plain.learner.model.input_scale.scale) == 1


@pytest.mark.parametrize("other", [{"look_ahead": 960}, {"dilations": (1, 2, 8)}, {"feature_scaling": "mean_abs"}])
def test_no_run_goes_on_as_another_network(other, corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path)
    trainer.save()
    again = make_trainer(corpus, tmp_path, replace(RECIPE, model=replace(TINY, **other)))
    with pytest.raises(ModelError, match="checkpoint of another network"):
        again.resume()


def test_training_lowers_the_loss(corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path, replace(RECIPE, optim=replace(RECIPE.optim, warmup_steps=1)))
    audio = torch.from_numpy(trainer.crops.batch(1))
    values = [trainer.learner.step(audio, trainer.schedule)["total"] for _ in range(40)]
    assert values[-1] < 0.8 * values[0]


def test_discriminators_and_gradients_may_be_in_bfloat16(corpus, tmp_path):
    joined = replace(ADVERSARIAL, adversarial=replace(ADVERSARIAL.adversarial, start=0.0))
    found, gradients = [], []
    for precision in ("bfloat16", "float32"):
        trainer = make_trainer(corpus, tmp_path, replace(joined, precision=precision))
        found.append(trainer.train_step())
        gradients.append(trainer.learner.model.encoder[-1].weight.grad)
    values, exact = found
    assert values["spectral"] == exact["spectral"] and values["discriminator"] != exact["discriminator"]
    assert values["discriminator"] == pytest.approx(exact["discriminator"], rel=0.05)
    difference = (gradients[0] - gradients[1]).norm() / gradients[1].norm()
    assert 0 < difference < 0.05


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(corpus, tmp_path):
    trainer = make_trainer(corpus, tmp_path)
    stop_after(trainer, 2)
    trainer.run(quiet=True)
    before = trainer.checkpoint_path.read_bytes()
    again = make_trainer(corpus, tmp_path)
    again.resume()
    with torch.no_grad():
        again.learner.model.decoder[0].weight.fill_(torch.nan)
    with pytest.raises(HacError, match=r"not finite at step 2: waveform, spectral"):
        again.run(quiet=True)
    assert trainer.checkpoint_path.read_bytes() == before


def test_evaluation_scores_keeps_samples_and_draws_them(corpus, tmp_path):
    settings = RECIPE.evaluation
    clips = pick(corpus, settings)
    assert clips.shape == (2, 12_000)
    trainer = make_trainer(corpus, tmp_path, clips=clips)
    trainer.run(quiet=True)
    (scores,) = lines(tmp_path / "evaluation.jsonl")
    assert scores["step"] == 6 and len(scores["bit_entropy"]) == 18 and 0 <= scores["least_bit"] <= scores["bits"] <= 1
    assert scores["si_sdr"] < 30
    assert {path.name for path in (tmp_path / "audio").iterdir()} == {"0-original.wav", "0-0000006.wav"}
    (picture,) = (tmp_path / "pictures").iterdir()
    assert picture.name == "0-0000006.png" and picture.read_bytes().startswith(b"\x89PNG")


def test_evaluation_knows_a_perfect_codec(tmp_path):
    class Perfect(torch.nn.Linear):
        config = replace(TINY, look_ahead=0)

        def forward(self, audio):
            return audio, torch.randn(len(audio), 37, 18)

    speech, rate = __import__("soundfile").read(Path(__file__).parents[2] / "samples" / "speech.wav", dtype="float32")
    scores = Evaluation(speech[None, rate : 3 * rate], tmp_path, 0)(Perfect(1, 1), 0)
    assert scores["si_sdr"] > 60 and scores["level_db"] == 0 and scores["unscored"] == 0
    assert scores.get("pesq_wb", 4.6) > 4.5 and scores.get("stoi", 1) > 0.99
    assert Evaluation(np.zeros((1, 24_000), np.float32), tmp_path, 0)(Perfect(1, 1), 0)["unscored"] > 0


def test_checkpoints_of_another_shape_or_kind_are_refused(corpus, tmp_path):
    make_trainer(corpus, tmp_path).save()
    other = make_trainer(corpus, tmp_path, replace(RECIPE, model=replace(TINY, kernel=5)))
    with pytest.raises(ModelError, match="another network"):
        other.resume()
    with pytest.raises(ModelError, match="another shape"):
        other.start_from(other.checkpoint_path)
    with pytest.raises(ModelError, match="without adversary"):
        make_trainer(corpus, tmp_path, ADVERSARIAL).resume()
    (tmp_path / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(ModelError, match="not a checkpoint"):
        other.resume()


def test_a_network_above_the_limit_has_to_be_asked_for(corpus, tmp_path):
    big = replace(RECIPE, model=replace(TINY, widths=(4, 6, 8, 900)))
    with pytest.raises(UsageError, match=r"at most 4,000,000.*large = true"):
        make_trainer(corpus, tmp_path, big)
    assert make_trainer(corpus, tmp_path, replace(big, large=True)).learner.model.parameter_count > 4_000_000


def test_crops_have_whole_frames(corpus, tmp_path):
    with pytest.raises(UsageError, match="multiple of 1/75"):
        make_trainer(corpus, tmp_path, replace(RECIPE, crops=replace(RECIPE.crops, seconds=0.3)))


@pytest.mark.parametrize("scaling", ["std", "mean_abs"])
def test_a_run_may_start_from_the_generator_of_another(scaling, corpus, tmp_path):
    """Also of one with discriminators, and of one whose scales are of another kind: it computes the same."""
    first = make_trainer(corpus, tmp_path / "first", ADVERSARIAL)
    first.run(quiet=True)
    after = make_trainer(corpus, tmp_path / scaling, replace(RECIPE, model=replace(TINY, feature_scaling=scaling)))
    after.start_from(first.checkpoint_path)
    audio = torch.from_numpy(first.crops.batch(50))
    with torch.no_grad():
        mine, theirs = (trainer.learner.average(audio)[1] for trainer in (after, first))
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
    assert after.schedule.step == 0


def test_discriminators_go_on_where_another_run_left_them(corpus, tmp_path):
    first = make_trainer(corpus, tmp_path / "first", ADVERSARIAL)
    first.run(quiet=True)
    learned = first.learner.adversary.discriminators.state_dict()
    slower, other = (replace(ADVERSARIAL, adversarial=replace(ADVERSARIAL.adversarial, **change))
                     for change in ({"betas": (0.5, 0.9)}, {"filter_bands": False}))  # fmt: skip
    for recipe, same in ((slower, True), (other, False)):
        after = make_trainer(corpus, tmp_path / f"{same}", recipe)
        after.start_from(first.checkpoint_path)
        adversary = after.learner.adversary
        mine = adversary.discriminators.state_dict()
        assert (mine.keys() == learned.keys() and all(torch.equal(mine[key], learned[key]) for key in mine)) is same
        assert bool(adversary.optimizer.state_dict()["state"]) is same
        assert adversary.joined_at is None  # they join when this run's recipe says
        assert adversary.optimizer.param_groups[0]["betas"] == recipe.adversarial.betas


def test_released_discriminators_are_begun_with(corpus, tmp_path):
    first = make_trainer(corpus, tmp_path / "first", ADVERSARIAL)
    first.run(quiet=True)
    weights = tmp_path / "weights.safetensors"
    export(first.checkpoint_path, weights, {})
    after = make_trainer(corpus, tmp_path / "after", ADVERSARIAL)
    after.start_from(weights)
    mine, theirs = (trainer.learner.adversary.discriminators.state_dict() for trainer in (after, first))
    assert all(torch.equal(value, theirs[name].to(torch.bfloat16).float()) for name, value in mine.items())
    after.run(quiet=True)

    weights.with_suffix(".discriminators").write_bytes(b"broken")
    with pytest.raises(ModelError, match="holds no discriminators"):
        after.start_from(weights)


def test_a_run_may_start_from_one_with_noise_or_without(corpus, tmp_path):
    """Noise begins at none, and is left out where the network has none."""
    noisy = replace(RECIPE, model=replace(TINY, noise=True))
    audio = torch.from_numpy(make_trainer(corpus, tmp_path / "crops").crops.batch(50))
    said = []
    for number, recipe in enumerate((RECIPE, noisy, noisy, RECIPE)):
        trainer = make_trainer(corpus, tmp_path / str(number), recipe)
        if said:
            trainer.start_from(tmp_path / str(number - 1) / "checkpoint.pt")
        with torch.no_grad():
            said.append(trainer.learner.average(audio)[0])
            if number == 1:  # it learns to use its noise
                for name, parameter in trainer.learner.average.named_parameters():
                    if "amount" in name:
                        parameter.fill_(0.1)
                noisy_now = trainer.learner.average(audio)[0]
        trainer.save()
    assert torch.equal(said[1], said[0]) and torch.equal(said[3], said[0])
    assert torch.equal(said[2], noisy_now) and not torch.equal(noisy_now, said[0])
    assert said[0].abs().max() > 0


def test_a_run_may_start_from_one_that_looks_less_far_ahead(corpus, tmp_path):
    """A decoder that sees more frames begins as the other one, later."""
    first = make_trainer(corpus, tmp_path / "first")
    first.save()
    later = replace(TINY, decoder_taps=3, look_ahead=TINY.look_ahead + 320)
    after = make_trainer(corpus, tmp_path / "after", replace(RECIPE, model=later))
    after.start_from(first.checkpoint_path)
    audio = torch.from_numpy(np.concatenate([first.crops.batch(number) for number in range(4)], 1))
    with torch.no_grad():
        mine, theirs = (trainer.learner.average(audio)[0] for trainer in (after, first))
    start = 30 * 320  # the first frames differ: no tokens before them, which is not the same as any token
    torch.testing.assert_close(mine[:, start + 320 :], theirs[:, start:-320], atol=1e-5, rtol=1e-4)
    assert theirs[:, start:].abs().max() > 0.01


def test_a_run_may_start_from_one_at_half_the_frame_rate(corpus, tmp_path):
    first = make_trainer(corpus, tmp_path / "first")
    first.run(quiet=True)
    twice = replace(TINY, strides=(20, 2, 2, 2))
    after = make_trainer(corpus, tmp_path / "after", replace(RECIPE, model=twice))
    after.start_from(first.checkpoint_path)
    mine, theirs = (dict(trainer.learner.average.named_parameters()) for trainer in (after, first))
    changed = [name for name, parameter in mine.items() if not torch.equal(parameter, theirs[name])]
    assert changed == ["encoder.2.weight", "decoder.9.weight"]  # those of the stride that is another
    steady = torch.ones(1, 64, TINY.widths[0])
    layers = [trainer.learner.average.encoder[2] for trainer in (first, after)]
    quarter, half = (layer(steady, layer.fresh(1, steady))[0][0, -1] for layer in layers)
    torch.testing.assert_close(half, quarter)  # what stands still gives the same at either rate
    with pytest.raises(ModelError, match="another shape"):
        wider = replace(RECIPE, model=replace(twice, widths=(4, 6, 8, 12)))
        make_trainer(corpus, tmp_path / "wider", wider).start_from(first.checkpoint_path)


def test_a_checkpoint_becomes_weights_with_their_story(folder, corpus, tmp_path):
    from click.testing import CliRunner

    from hac_cli.cli.app import cli
    from hac_cli.cli.console import Console
    from hac_cli.model.release import load_file_release
    from hac_cli.model.released import read_metadata

    run = make_trainer(corpus, tmp_path / "run", about={"recipe": "{}", "data": "noise"})
    run.run(quiet=True)
    plain, level = tmp_path / "tiny.safetensors", tmp_path / "level.safetensors"

    def export(*arguments):
        return CliRunner().invoke(cli, ["export-weights", str(run.checkpoint_path), *arguments], obj=Console())

    said = export(str(plain), "--about", "licence=free")
    metadata = read_metadata(plain)
    assert said.exit_code == 0 and "sha256" in said.output
    assert (metadata["steps"], metadata["data"], metadata["licence"]) == ("6", "noise", "free")
    assert load_file_release(plain).config == TINY
    assert plain.stat().st_mode == run.checkpoint_path.stat().st_mode  # as any new file
    assert export(str(level), "--data", str(folder)).exit_code == 0
    assert {"level_gain_db", "colour_gain_db"} <= read_metadata(level).keys() and "level_gain_db" not in metadata
    assert isinstance(export(str(plain)).exception, HacError)  # it exists
    mixed = tmp_path / "mixed.safetensors"
    assert export(str(mixed), "--with", f"{level}=0.25").exit_code == 0
    for name, value in load_file_release(mixed).state_dict().items():
        a, b = (load_file_release(path).state_dict()[name] for path in (plain, level))
        torch.testing.assert_close(value, 0.75 * a + 0.25 * b, atol=1e-3, rtol=0.02)  # bfloat16
    for wrong in (f"{level}=1", f"{level}=0", f"{level}=nan", f"{level}", "=0.5"):
        assert isinstance(export(str(mixed), "-f", "--with", wrong).exception, HacError)
    stranger = Path(hac_cli.__file__).parent / "model" / "weights" / "v2.safetensors"
    assert "another shape" in str(export(str(mixed), "-f", "--with", f"{stranger}=0.5").exception)
    plain.with_suffix(".discriminators").write_bytes(b"of other weights")
    assert isinstance(export(str(tmp_path / "none" / "x.safetensors")).exception, OutputError)
    assert export(str(plain), "-f").exit_code == 0
    assert not plain.with_suffix(".discriminators").exists()

    after = make_trainer(corpus, tmp_path / "after")
    after.start_from(plain)
    audio = torch.from_numpy(run.crops.batch(50))
    with torch.no_grad():
        expected = run.learner.average(audio)[1]
        torch.testing.assert_close(load_file_release(plain)(audio)[1], expected, atol=0.02, rtol=0.02)  # bfloat16
        torch.testing.assert_close(after.learner.average(audio)[1], expected, atol=0.02, rtol=0.02)


def test_the_command_trains_refuses_and_resumes(folder, tmp_path, capsys):
    from hac_cli.cli.app import run

    (tmp_path / "tiny.toml").write_text(f"max_steps = 3\n{TINY_RECIPE}")
    command = ["train", str(tmp_path / "tiny.toml"), "--data", f"{folder}=2", "--out", str(tmp_path / "run"),
               "--max-minutes", "5", "--no-compile"]  # fmt: skip
    assert run(command) == 0
    said = capsys.readouterr()
    assert "2 speakers" in said.out and "saved" in said.err
    saved = checkpoint.load(tmp_path / "run" / "checkpoint.pt")
    assert saved["step"] == 3 and "2 speakers" in saved["about"]["data"]
    assert json.loads(saved["about"]["recipe"])["max_steps"] == 3
    assert lines(tmp_path / "run" / "evaluation.jsonl")[0]["step"] == 3
    assert run(command) == 2 and "holds a run already" in capsys.readouterr().err
    assert len(saved["about"]["held_out"].split()) == 1
    for speaker in ("0", "1"):  # of five names another one is in the middle
        shutil.copytree(next(path for path in folder.iterdir() if path.is_dir()), tmp_path / "more" / speaker)
    start = ["--start-from", str(tmp_path / "run" / "checkpoint.pt"), "--data", str(tmp_path / "more")]
    assert run([*command, *start, "--out", str(tmp_path / "next")]) == 0
    after = checkpoint.load(tmp_path / "next" / "checkpoint.pt")
    assert after["about"]["held_out"] == saved["about"]["held_out"]
    assert run([*command, "--resume"]) == 2 and "3 steps: give more by --max-minutes" in capsys.readouterr().err
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(recipe.read_text().replace("max_steps = 3", "max_steps = 4"))
    assert run([*command, "--resume"]) == 0
    assert "changed in the recipe: max_steps 3 -> 4\n" in capsys.readouterr().out
    recipe.write_text(recipe.read_text().replace("max_steps = 4", "max_steps = 5"))
    assert run([*command, "--resume", "--data", str(tmp_path / "more")]) == 0
    assert "other data; before:\nspeech: " in capsys.readouterr().out
    assert run([*command, "--data", str(tmp_path), "--out", str(tmp_path / "x" / "y")]) == 2
    assert "whose recordings are trained on" in capsys.readouterr().err
    assert run([*command, *start, "--resume"]) == 2 and "leave --start-from out" in capsys.readouterr().err
