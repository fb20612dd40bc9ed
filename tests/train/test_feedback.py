"""Feedback: an input in which what the decoder lost is louder."""

import pytest
import torch

from hac_cli.losses.bits import disagreement
from hac_cli.train.feedback import STRENGTH, Feedback

RATE = 24_000


def tones(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """500 and 4,000 Hz with these envelopes."""
    time = torch.arange(len(low)) / RATE
    return (low * (2 * torch.pi * 500 * time).sin() + high * (2 * torch.pi * 4000 * time).sin())[None]


def power(signal: torch.Tensor) -> torch.Tensor:
    return signal.square().mean().sqrt()


@pytest.mark.parametrize("gain", [1.0, 0.5, 2.0])
def test_what_came_back_as_it_was_is_said_again(gain):
    """The level of all is not the encoder's to change."""
    torch.manual_seed(0)
    audio = torch.randn(2, RATE)
    audio[1, RATE // 2 :] *= 0.1
    torch.testing.assert_close(Feedback()(audio, gain * audio), audio, atol=0.02, rtol=0)


def test_what_was_lost_is_made_louder_where_it_was():
    ones = torch.ones(RATE)
    lost = torch.cat([ones[: RATE // 2], 0.5 * ones[RATE // 2 :]])
    audio, output = tones(ones, 0.1 * ones), tones(ones, 0.1 * lost)
    high = Feedback()(audio, output) - tones(ones, 0 * ones)
    before, after = high[:, RATE // 8 : RATE * 3 // 8], high[:, RATE * 5 // 8 : RATE * 7 // 8]
    assert power(after) / power(before) == pytest.approx(2**STRENGTH, rel=0.05)


def test_a_clip_that_lost_more_than_others_is_made_louder():
    audio = torch.randn(2, RATE, generator=torch.manual_seed(0))
    change = Feedback()(audio, audio * torch.tensor([[1.0], [0.5]]))
    for clip, direction in ((0, -1), (1, 1)):
        assert power(change[clip]) / power(audio[clip]) == pytest.approx(2 ** (0.5 * STRENGTH * direction), rel=0.02)


def test_nothing_is_said_of_silence_and_of_what_is_shorter():
    feedback = Feedback()
    silence, noise = torch.zeros(1, RATE), torch.randn(1, RATE, generator=torch.manual_seed(1))
    assert torch.equal(feedback(silence, noise), silence)
    torch.testing.assert_close(feedback(noise, noise[:, :-960]), noise, atol=1e-4, rtol=0)


def test_disagreement_counts_signs_that_differ_or_hardly_agree():
    latents = torch.tensor([[[1.0, -1.0, 0.5, 0.1]]])
    assert disagreement(latents, torch.tensor([[[0.2, -3.0, 0.4, -1.0]]])).item() == pytest.approx((0.3 + 0.1) / 4)
    assert disagreement(latents, -latents).item() == pytest.approx((1.3 + 1.3 + 0.8 + 0.4) / 4)
    assert disagreement(latents[..., :3], latents[..., :3]).item() == 0
