"""Back through the decoder: what torch finds, in C and in numpy."""

import functools

import numpy as np
import pytest
import torch

from hac_cli.compiled import is_there
from hac_cli.model import gradient, numpy_layers
from hac_cli.model.gradient import Decoder

CHAINS = [numpy_layers.Chain]
if is_there():
    from hac_cli.model.compiled_layers import CODES, Chain

    CHAINS += [functools.partial(Chain, code=code) for code in CODES]


@pytest.mark.parametrize("chain", CHAINS)
def test_the_gradient_of_the_signs_is_that_of_torch(numpy_engine, torch_engine, chain, monkeypatch):
    monkeypatch.setattr(gradient, "Chain", chain)
    rng, network = np.random.default_rng(0), torch_engine.network
    bits = network.config.bits_per_token
    signs = np.sign(rng.standard_normal((130, bits))).astype(np.float32)
    decoder = Decoder(numpy_engine)
    _, behind, _ = decoder(signs[:30], decoder.fresh())
    audio, _, trace = decoder(signs[30:], behind)
    wanted = rng.standard_normal(len(audio)).astype(np.float32)

    theirs = torch.from_numpy(signs[None, 30:]).requires_grad_()
    _, state = network.decode(torch.from_numpy(signs[None, :30]), network.fresh_decoder(1))
    expected, _ = network.decode(theirs, state)
    (back,) = torch.autograd.grad(expected, theirs, torch.from_numpy(wanted[None]))
    assert distance(audio, expected[0]) < 2e-3
    assert distance(decoder.back(wanted, trace), back[0]) < 5e-3


def distance(found, expected):
    expected = expected.detach().numpy()
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)
