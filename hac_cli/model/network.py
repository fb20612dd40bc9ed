"""The codec network: encoder, quantizer, decoder. Audio ``[B, T]``, latents ``[B, F, D]``, tokens ``[B, F, 1]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.model.config import ModelConfig
from hac_cli.model.layers import Block, Chain, Down, FeatureScale, Snake, State, Up
from hac_cli.model.quantizer import binarize

INPUT_MOMENTUM = 0.001


def _stage(config: ModelConfig, index: int) -> list[nn.Module]:
    width = config.widths[index]
    return [
        Block(width, config.kernel, config.dilations[i % len(config.dilations)], config.expansion,
              FeatureScale(width, config.feature_scaling, config.scale_tracking))
        for i in range(config.blocks[index])
    ]  # fmt: skip


def build_encoder(config: ModelConfig) -> Chain:
    """Audio ``[B, T, 1]`` to latents ``[B, T/hop, D]``."""
    layers: list[nn.Module] = []
    inputs = 1
    for index, stride in enumerate(config.strides):
        layers += [Down(inputs, config.widths[index], stride), *_stage(config, index)]
        inputs = config.widths[index]
    layers += [Snake(inputs), nn.Linear(inputs, config.bits_per_token)]
    return Chain(layers)


def build_decoder(config: ModelConfig) -> Chain:
    """Signs ``[B, F, D]`` to audio ``[B, F·hop, 1]``."""
    layers: list[nn.Module] = [nn.Linear(config.bits_per_token, config.widths[-1])]
    for index in reversed(range(len(config.strides))):
        outputs = config.widths[index - 1] if index else 1
        layers += [*_stage(config, index), Snake(config.widths[index]),
                   Up(config.widths[index], outputs, config.strides[index])]  # fmt: skip
    return Chain(layers)


class Codec(nn.Module):
    """Encoder, quantizer and decoder, with the scaling of the input.

    ``encode`` and ``decode`` take and return the state; ``forward`` is what training calls. The decoder's output
    is the input delayed by ``config.look_ahead`` samples.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        momentum = INPUT_MOMENTUM if config.input_scaling == "z_norm" else 0.0  # 0: as it was begun with, 1
        self.input_scale = FeatureScale(1, "std", "ema", center=True, momentum=momentum)
        self.encoder = build_encoder(config)
        self.decoder = build_decoder(config)

    def scales(self) -> list[FeatureScale]:
        """Every scaling in the network; a release has only the input's."""
        return [module for module in self.modules() if isinstance(module, FeatureScale)]

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def fresh_encoder(self, batch: int) -> State:
        return self.encoder.fresh(batch, self.input_scale.scale)

    def fresh_decoder(self, batch: int) -> State:
        return self.decoder.fresh(batch, self.input_scale.scale)

    def encode(self, audio: Tensor, state: State) -> tuple[Tensor, State]:
        """Audio ``[B, T]``, T a multiple of the hop, to latents ``[B, F, D]``."""
        return self.encoder(self.input_scale(audio[..., None]), state)

    def decode(self, signs: Tensor, state: State) -> tuple[Tensor, State]:
        """Signs ``[B, F, D]`` to audio ``[B, F·hop]``."""
        audio, state = self.decoder(signs, state)
        return audio[..., 0] * self.input_scale.scale, state

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Audio ``[B, T]`` to its reconstruction (delayed by the look-ahead) and the latents."""
        batch = audio.shape[0]
        latents, _ = self.encode(audio, self.fresh_encoder(batch))
        output, _ = self.decode(binarize(latents), self.fresh_decoder(batch))
        return output, latents


def count(config: ModelConfig) -> int:
    """Parameters of the network that ``config`` describes, without allocating it."""
    with torch.device("meta"):
        return Codec(config).parameter_count
