"""The listener's losses and gradients are those of training."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hac_cli import listener
from hac_cli.listener import Listener
from hac_cli.losses.envelope import EnvelopeLoss
from hac_cli.losses.loudness import LoudnessLoss
from hac_cli.losses.recogniser import RecogniserLoss, from_tensors
from hac_cli.losses.spectral import SpectralLoss, normalize_level, waveform_loss
from hac_cli.recogniser import read_tensors

SPEECH, _ = soundfile.read(Path(__file__).parents[2] / "samples" / "speech.wav", dtype="float32", frames=40_000)
LOSSES = {
    "WAVEFORM": waveform_loss,
    "SPECTRAL": SpectralLoss(
        tuple(listener.MELS), tuple(listener.MELS.values()), listener.LINEAR, listener.LOG_FLOOR, listener.OVERLAP
    ),
    "ENVELOPE": EnvelopeLoss(listener.LONG),
    "LOUDNESS": LoudnessLoss(),
    "WORDS": RecogniserLoss(from_tensors(read_tensors())),
}
ERRORS = {"SPECTRAL": 0.02, "WORDS": 0.05}
"""Training's spectral loss mirrors signals at their ends; a recogniser of integers rounds."""


def outputs():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(len(SPEECH)).astype(np.float32)
    yield 0.5 * SPEECH + 0.02 * noise
    yield SPEECH - 0.9 * np.convolve(SPEECH, np.ones(9) / 9, "same").astype(np.float32)
    yield 1e-4 * noise


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_leads_where_that_of_training_does(name, monkeypatch):
    for other in LOSSES:
        monkeypatch.setattr(listener, other, float(other == name))
    ours = Listener()
    target = ours.target(SPEECH)
    found = []
    for output in outputs():
        distance, gradient = ours(output, target)
        y = torch.from_numpy(output[None]).requires_grad_()
        expected = LOSSES[name](*normalize_level(y, torch.from_numpy(SPEECH[None])))
        (wanted,) = torch.autograd.grad(expected, y)
        inner = slice(1024, -1024)
        error = np.linalg.norm(gradient[inner] - wanted[0, inner].numpy()) / np.linalg.norm(wanted[0, inner])
        assert error < ERRORS.get(name, 1e-4)
        found.append((distance, float(expected.detach())))
    for (one, wanted), (other, more) in itertools.pairwise(found):  # that of envelopes lacks a constant
        assert one - other == pytest.approx(wanted - more, rel=3e-2)
