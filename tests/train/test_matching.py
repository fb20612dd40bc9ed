"""What a release's last filter is given: the level and the highs of speech, and silence."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import welch

from hac_cli.model.release import as_released, load_release
from hac_cli.model.released import find
from hac_cli.train import data
from hac_cli.train.crops import Crops
from hac_cli.train.matching import match_colour, match_level, match_silence, silence
from hac_cli.train.release import PLAIN_SPEECH

SAMPLE = Path(__file__).parents[2] / "samples" / "speech.wav"


@pytest.fixture
def crops(tmp_path):
    (tmp_path / "speech" / "anna").mkdir(parents=True)
    shutil.copy(SAMPLE, tmp_path / "speech" / "anna")
    corpus = data.load([data.Source(tmp_path / "speech")], tmp_path / "cache")
    return Crops(corpus, PLAIN_SPEECH, seed=0)


def balance(model, crops):
    """Power of the output over that of the input in dB, all of it and above 8 kHz: medians over crops."""
    delay = model.config.look_ahead
    ratios = []
    for number in range(100, 106):  # none of those that it was matched on
        audio = torch.from_numpy(crops.batch(number))
        with torch.no_grad():
            output = model(audio)[0][:, delay:].numpy()
        hertz, (came, went) = welch(np.stack([output, audio.numpy()[:, :-delay]]), 24_000, nperseg=512)
        for band in (hertz > 0, (hertz > 8000) & (hertz < 11_000)):
            ratios.append(10 * np.log10(came[:, band].sum(1) / went[:, band].sum(1)))
    return np.median(np.concatenate(ratios[::2])), np.median(np.concatenate(ratios[1::2]))


def test_a_dull_and_quiet_decoder_is_given_its_highs_and_its_level_back(crops):
    model = load_release(find("v2"))
    taps = model.decoder[-1].weight
    dull = torch.tensor([[[0.15, 0.2, 0.15]]])
    taps.copy_(F.conv1d(taps.permute(2, 1, 0), dull, padding=1).permute(2, 1, 0))
    level, highs = balance(model, crops)
    assert level < -5 and highs - level < -6
    brighter, louder = match_colour(model, crops), match_level(model, crops)
    assert brighter > 6 and louder > 4
    level, highs = balance(model, crops)
    assert abs(level) < 1 and abs(highs - level) < 4


def test_silence_comes_back_as_silence():
    model = as_released(load_release(find("v2")))
    bias = model.decoder[-1].pointwise.bias
    bias += 0.01 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(0))
    assert 10 * silence(model).square().mean().log10() > -70
    assert match_silence(model) > -70
    assert 10 * silence(as_released(model)).square().mean().log10() < -100  # whose weights are rounded
