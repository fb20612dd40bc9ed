"""The recogniser learns what Whisper makes of speech, and a search that listens with it keeps more of that."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hac_cli import listener
from hac_cli.codec import decode, encode
from hac_cli.losses.recogniser import Recogniser, from_tensors
from hac_cli.losses.spectral import normalize_level
from hac_cli.losses.whisper import WhisperLoss, find_checkpoint, load_encoder
from hac_cli.recogniser import read_tensors
from hac_cli.train import data
from hac_cli.train import recogniser as training
from hac_cli.train.crops import Crops, CropSettings

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> Crops:
    corpus = tmp_path_factory.mktemp("speech")
    for name in ("speech.wav", "reading-16k.flac"):
        (corpus / name[:4]).mkdir()
        shutil.copy(SAMPLES / name, corpus / name[:4])
    return Crops(data.load([data.Source(corpus)], tmp_path_factory.mktemp("cache")), CropSettings(seconds=1.5), seed=0)


@pytest.fixture(scope="module")
def pairs(crops) -> training.Pairs:
    return training.collect(crops, 8, seed=0)


@torch.no_grad()
def error(ear: Recogniser, pairs: training.Pairs) -> float:
    found = ear.features(pairs.logs.float().flatten(0, 1)).unflatten(0, (-1, 2)) - pairs.features.float()
    return float(found.square().mean() / pairs.features.float().var())


def test_it_learns_from_whisper_what_is_left_out_of_it(crops, pairs, monkeypatch, capsys):
    torch.manual_seed(0)
    monkeypatch.setattr(training, "JUDGED", 2)
    monkeypatch.setattr(training, "WARMUP", 5)
    ear = training.first(crops, pairs.logs.float().mean((0, 1, 2)))
    before = error(ear, pairs)
    training.learn(ear, pairs, steps=25)
    assert error(ear, pairs) < 0.6 * before
    assert "of the differences" in capsys.readouterr().out


def test_the_one_that_ships_has_learned_it(pairs):
    assert error(from_tensors(read_tensors()), pairs) < 0.5


def test_eight_bits_keep_what_was_learned(pairs, tmp_path):
    torch.manual_seed(1)
    ear = Recogniser()
    training.save(ear, tmp_path / "ear.npz")
    logs = pairs.logs[:, 0].float()
    kept = from_tensors(read_tensors(tmp_path / "ear.npz")).features(logs)
    assert (kept - ear.features(logs)).square().mean() < 1e-3 * kept.square().mean()


def test_a_search_that_listens_with_it_keeps_more_of_what_whisper_hears(monkeypatch):
    speech, _ = soundfile.read(SAMPLES / "speech.wav", dtype="float32")
    whisper = WhisperLoss(load_encoder(find_checkpoint()))
    distances = []
    for words in (0.0, listener.WORDS):
        monkeypatch.setattr(listener, "WORDS", words)
        decoded = decode(encode(speech))[0, : len(speech)]
        output, target = normalize_level(*(torch.from_numpy(np.ascontiguousarray(x))[None] for x in (decoded, speech)))
        distances.append(float(whisper(output, target)))
    assert distances[1] < distances[0]
