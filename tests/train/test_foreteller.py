"""What of the bits can be foretold: learned from them, and told to the encoder."""

import torch

from hac_cli.train.foreteller import Foreteller

BITS = 6


def learned(draw, steps=150):
    torch.manual_seed(0)
    foreteller = Foreteller(BITS, torch.device("cpu"))
    for _ in range(steps):
        latents = draw()
        said = foreteller.learn(latents, foreteller.guess(latents), 1.0)
    return foreteller, said.item()


def persistent():
    """The first three bits hardly change from frame to frame, the others are chance."""
    changes = torch.where(torch.rand(8, 60, 3) < 0.02, -1.0, 1.0).cumprod(1)
    return torch.cat([changes * torch.where(torch.rand(8, 1, 3) < 0.5, -1.0, 1.0), torch.randn(8, 60, 3)], -1)


def repeated():
    """The second half of every frame says what the first one did."""
    half = torch.randn(8, 60, 3)
    return torch.cat([half, half], -1)


def test_bits_that_hardly_change_are_foretold_and_pushed_to_change():
    foreteller, said = learned(persistent)
    assert said < 0.7
    latents = persistent().requires_grad_()
    foreteller.term(latents, foreteller.guess(latents)).backward()
    same, chance = (latents.grad * latents.sign())[:, 8:].split(3, -1)
    assert same.mean() > 5 * chance.mean().abs()


def test_bits_that_repeat_others_of_their_frame_are_foretold():
    foreteller, said = learned(repeated)
    assert said < 0.7
    latents = repeated()
    assert foreteller.term(latents, foreteller.guess(latents)) > 0.2


def test_of_chance_nothing_is_foretold():
    foreteller, said = learned(lambda: torch.randn(8, 60, BITS))
    assert said > 0.98
    latents = torch.randn(8, 60, BITS)
    assert foreteller.term(latents, foreteller.guess(latents)).abs() < 0.05


def test_what_is_learned_is_kept():
    foreteller, _ = learned(persistent, 20)
    other = Foreteller(BITS, torch.device("cpu"))
    other.load_state_dict(foreteller.state_dict())
    latents = persistent()
    assert torch.equal(other.guess(latents), foreteller.guess(latents))
