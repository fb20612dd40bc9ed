"""The codec network: encoder, quantizer, decoder. Audio ``[B, T]``, latents ``[B, F, D]``, tokens ``[B, F, 1]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.model.config import ModelConfig
from hac_cli.model.layers import Block, Chain, Dense, Down, Noise, Snake, State, Up
from hac_cli.model.plan import Layer, decoder_plan, encoder_plan
from hac_cli.model.quantizer import binarize, on_sphere
from hac_cli.model.scaling import FeatureScale

INPUT_MOMENTUM = 0.001


def _build(config: ModelConfig, plan: list[Layer]) -> Chain:
    def make(layer: Layer) -> nn.Module:
        if layer.kind == "down":
            return Down(layer.inputs, layer.outputs, layer.stride)
        if layer.kind == "up":
            return Up(layer.inputs, layer.outputs, layer.stride)
        if layer.kind == "snake":
            return Snake(layer.inputs)
        if layer.kind == "noise":
            return Noise(layer.inputs, layer.stride)
        if layer.kind == "linear":
            return nn.Linear(layer.inputs, layer.outputs)
        if layer.kind == "dense":
            return Dense(layer.inputs, layer.outputs, layer.taps)
        scale = FeatureScale(layer.inputs, config.feature_scaling, config.scale_tracking)
        return Block(layer.inputs, config.kernel, layer.dilation, config.expansion, scale)

    return Chain(make(layer) for layer in plan)


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
        self.encoder = _build(config, encoder_plan(config))
        self.decoder = _build(config, decoder_plan(config))

    def scales(self) -> list[FeatureScale]:
        """Every scaling in the network; a release has only the input's."""
        return [module for module in self.modules() if isinstance(module, FeatureScale)]

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def fresh_encoder(self, batch: int) -> State:
        return self.encoder.fresh(batch, self.input_scale.scale)

    def fresh_decoder(self, batch: int, frame: int = 0) -> State:
        return self.decoder.fresh(batch, self.input_scale.scale, frame)

    def encode(self, audio: Tensor, state: State) -> tuple[Tensor, State]:
        """Audio ``[B, T]``, T a multiple of the hop, to latents ``[B, F, D]``."""
        return self.encoder(self.input_scale(audio[..., None]), state)

    def decode(self, signs: Tensor, state: State) -> tuple[Tensor, State]:
        """Signs ``[B, F, D]`` to audio ``[B, F·hop]``."""
        audio, state = self.decoder(signs, state)
        return audio[..., 0] * self.input_scale.scale, state

    def forward(
        self, audio: Tensor, curvature: float = 0.0, spherical: bool = False, dither: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Audio ``[B, T]`` to its reconstruction (delayed by the look-ahead) and the latents; ``curvature`` is
        ``binarize``'s, ``spherical`` gives the latents of each frame an RMS of 1, which changes no sign, and ``dither``
        is the RMS of noise that does, where they are near 0."""
        batch = audio.shape[0]
        latents, _ = self.encode(audio, self.fresh_encoder(batch))
        if spherical:
            latents = on_sphere(latents)
        heard = latents + dither * torch.randn_like(latents) if dither else latents
        output, _ = self.decode(binarize(heard, curvature), self.fresh_decoder(batch))
        return output, latents
