import pytest
import torch

from hac_cli.model.config import ModelConfig
from hac_cli.model.engine import Engine
from hac_cli.model.layers import Noise
from hac_cli.model.network import Codec
from hac_cli.model.numpy_engine import NumpyEngine
from hac_cli.model.release import fold
from hac_cli.model.torch_engine import TorchEngine

TINY = ModelConfig(name="tiny", widths=(8, 12, 16, 20), blocks=(1, 1, 1, 2), decoder_widths=(10, 12, 14, 24),
                   decoder_blocks=(1, 2, 1, 1), decoder_taps=3, noise=True)  # fmt: skip


@pytest.fixture(scope="session")
def trained_tiny() -> Codec:
    """A small network with random weights and scales that have seen signals."""
    torch.manual_seed(1)
    model = Codec(TINY).train()
    for module in model.modules():
        if isinstance(module, Noise):
            torch.nn.init.normal_(module.amount.weight)
    for _ in range(120):
        model(0.1 * torch.randn(2, 6400))
        for scale in model.scales():
            scale.track()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny(trained_tiny: Codec) -> Codec:
    return fold(trained_tiny)


@pytest.fixture(scope="session")
def numpy_engine(tiny: Codec) -> Engine:
    return NumpyEngine(tiny.config, {name: tensor.numpy() for name, tensor in tiny.state_dict().items()})


@pytest.fixture(scope="session")
def torch_engine(tiny: Codec) -> Engine:
    return TorchEngine(tiny)


@pytest.fixture(params=["numpy", "torch"])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine
