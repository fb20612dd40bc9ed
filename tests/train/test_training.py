"""Training on a small network: what it reads, what it refuses, and that it can be stopped and resumed."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hac_cli.errors import HacError, InputError, ModelError, UsageError
from hac_cli.model.config import ModelConfig
from hac_cli.train import checkpoint, data
from hac_cli.train.loop import Trainer
from hac_cli.train.recipe import Recipe
from hac_cli.train.release import export

TINY = ModelConfig(name="tiny", widths=(4, 6, 8, 10), blocks=(1, 1, 1, 1))
RECIPE = replace(
    Recipe(), max_steps=6, model=TINY, crops=replace(data.CropSettings(), seconds=0.2, batch=2), windows=(256, 512),
    mels=(20, 30),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three speakers, one corrupt file, one text."""
    root = tmp_path_factory.mktemp("speech")
    random = np.random.default_rng(0)
    for speaker, rate in (("anna", 24_000), ("berta", 16_000), ("carl", 44_100)):
        (root / speaker).mkdir()
        soundfile.write(root / speaker / "one.flac", 0.1 * random.standard_normal(rate), rate)
    (root / "anna" / "broken.flac").write_bytes(b"fLaC nothing")
    (root / "anna" / "notes.txt").write_text("not audio")
    return root


@pytest.fixture
def crops(folder, tmp_path):
    return data.Crops(data.load([folder], tmp_path / "cache"), RECIPE.crops, seed=7)


def trainer(crops, folder, recipe=RECIPE):
    return Trainer(recipe, crops, folder, budget_seconds=1e9, compiled=False)


def test_data_is_counted_and_what_is_skipped_is_said(folder, tmp_path):
    corpus = data.load([folder], tmp_path / "cache")
    assert {clip.speaker for clip in corpus.clips} == {"anna", "berta", "carl"}
    assert [clip.seconds for clip in corpus.clips] == pytest.approx([1, 1, 1])
    assert "skipped" in corpus.report() and "broken.flac" in corpus.report()
    again = data.load([folder], tmp_path / "cache")
    assert all(np.array_equal(a.audio, b.audio) for a, b in zip(corpus.clips, again.clips, strict=True))


def test_files_of_one_name_are_not_mixed_up_in_the_cache(folder, tmp_path):
    corpus = data.load([folder], tmp_path / "cache")
    assert len({clip.audio.tobytes() for clip in corpus.clips}) == 3


def test_a_folder_without_audio_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no audio"):
        data.load([tmp_path / "empty"], tmp_path / "cache")


def test_a_speaker_with_much_speech_does_not_drown_the_others(tmp_path):
    clips = [data.Clip(tmp_path, "speech", name, np.zeros(seconds * 24_000, np.int16))
             for name, seconds in (("a", 100), ("b", 1), ("c", 1))]  # fmt: skip
    shares = np.diff(data._speaker_weights(clips), prepend=0)
    assert shares == pytest.approx(np.array([10, 1, 1]) / 12)


def test_crops_are_the_same_for_the_same_number(crops):
    assert np.array_equal(crops.batch(3), crops.batch(3))
    assert not np.array_equal(crops.batch(3), crops.batch(4))
    assert crops.batch(0).shape == (2, 4800) and np.abs(crops.batch(0)).max() <= 1


def test_speakers_are_held_out_whole(folder, tmp_path):
    train, held = data.split(data.load([folder], tmp_path / "cache"), 1)
    mine, theirs = ({clip.speaker for clip in part.clips} for part in (train, held))
    assert len(theirs) == 1 and not mine & theirs and len(mine | theirs) == 3


def test_a_resumed_run_equals_an_uninterrupted_one(crops, tmp_path):
    whole = trainer(crops, tmp_path / "whole")
    whole.run(quiet=True)

    first = trainer(crops, tmp_path / "parts")
    step = first.train_step
    first.train_step = lambda audio: (setattr(first, "stopping", first.step == 2), step(audio))[1]
    first.run(quiet=True)
    second = trainer(crops, tmp_path / "parts")
    second.resume()
    assert second.step == 3
    second.run(quiet=True)

    assert whole.step == second.step == 6
    for name, tensor in whole.average.state_dict().items():
        assert torch.equal(tensor, second.average.state_dict()[name]), name
    assert (tmp_path / "whole" / "checkpoint.pt").exists()


def test_training_lowers_the_loss(crops, tmp_path):
    recipe = replace(RECIPE, max_steps=40, optim=replace(RECIPE.optim, warmup_steps=5))
    run = trainer(crops, tmp_path, recipe)
    audio = torch.from_numpy(crops.batch(1))
    values = [run.train_step(audio)["total"] for _ in range(40)]
    assert values[-1] < 0.8 * values[0]


def test_a_loss_that_is_not_finite_stops_the_run(crops, tmp_path):
    run = trainer(crops, tmp_path)
    with pytest.raises(HacError, match=r"not finite at step 0.*waveform"):
        run.train_step(torch.full((2, 4800), torch.nan))


def test_sigterm_saves_and_ends(folder, tmp_path):
    script = f"""
import sys; from pathlib import Path; from dataclasses import replace
from pathlib import Path
from hac_cli.train.run import train
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_training import RECIPE
train(replace(RECIPE, max_steps=10**9), [Path({str(folder)!r})], Path({str(tmp_path / "run")!r}),
      max_minutes=9, compiled=False, log_every=5)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert any(line.startswith("step") for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    assert process.wait(20) == 0
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt")["step"] >= 5


def test_checkpoints_of_another_shape_or_kind_are_refused(crops, tmp_path):
    trainer(crops, tmp_path).save()
    other = trainer(crops, tmp_path, replace(RECIPE, model=replace(TINY, kernel=5)))
    with pytest.raises(ModelError, match="another shape"):
        other.resume()
    (tmp_path / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(ModelError, match="not a checkpoint"):
        other.resume()


def test_a_checkpoint_becomes_weights_with_their_story(crops, tmp_path):
    from hac_cli.model.release import load_file_release
    from hac_cli.model.released import read_metadata

    run = trainer(crops, tmp_path)
    run.run(quiet=True)
    level = export(run.checkpoint_path, tmp_path / "level.safetensors", {}, crops)
    digest = export(run.checkpoint_path, tmp_path / "tiny.safetensors", {"data": "noise"})
    metadata = read_metadata(tmp_path / "tiny.safetensors")
    assert level != digest and "level_gain_db" in read_metadata(tmp_path / "level.safetensors")
    assert len(digest) == 64 and metadata["steps"] == "6" and metadata["data"] == "noise"
    assert load_file_release(tmp_path / "tiny.safetensors").config == TINY

    after = trainer(crops, tmp_path / "after")
    after.start_from(tmp_path / "tiny.safetensors")
    audio = torch.from_numpy(crops.batch(50))
    with torch.no_grad():
        mine, theirs = after.average(audio)[1], run.average(audio)[1]
    torch.testing.assert_close(mine, theirs, atol=0.02, rtol=0.02)  # as far as bfloat16 goes


def test_recipes_extend_and_refuse_unknown_keys(tmp_path):
    (tmp_path / "base.toml").write_text("seed = 4\n[crops]\nbatch = 3\nseconds = 0.5\n")
    (tmp_path / "mine.toml").write_text('extends = "base"\n[crops]\nbatch = 9\n')
    recipe = Recipe.read(str(tmp_path / "mine.toml"))
    assert (recipe.seed, recipe.crops.batch, recipe.crops.seconds) == (4, 9, 0.5)
    (tmp_path / "typo.toml").write_text("[crops]\nbach = 9\n")
    with pytest.raises(UsageError, match="'bach' in \\[crops\\]"):
        Recipe.read(str(tmp_path / "typo.toml"))
    with pytest.raises(UsageError, match="reconstruction"):
        Recipe.read("no-such-recipe")
    assert Recipe.read("reconstruction").model.hop_length == 320


def test_the_command_trains_refuses_and_resumes(folder, tmp_path):
    (tmp_path / "tiny.toml").write_text(
        "max_steps = 3\nwindows = [256]\nmels = [20]\n"
        "[model]\nname = 'tiny'\nwidths = [4, 6, 8, 10]\nblocks = [1, 1, 1, 1]\n"
        "[crops]\nseconds = 0.2\nbatch = 1\n"
    )
    command = [sys.executable, "-m", "hac_cli", "train", str(tmp_path / "tiny.toml"), "--data", str(folder),
               "--out", str(tmp_path / "run"), "--max-minutes", "5", "--no-compile"]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0 and "speakers" in first.stdout and "saved" in first.stderr
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt")["step"] == 3
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2 and "holds a run already" in again.stderr
    assert subprocess.run([*command, "--resume"], capture_output=True).returncode == 0
