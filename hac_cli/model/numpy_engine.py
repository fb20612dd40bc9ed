"""The released networks in numpy: what the command line codes with.

It computes what the torch network computes, from the same weights, but for the rounding; there is no training, so
everything that is constant is multiplied out first. Numpy loads in a tenth of the time that torch takes, and at the
sizes of this network, a second of audio a call, nearly all of the work is in the same matrix products.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hac_cli.model.config import ModelConfig
from hac_cli.model.numpy_layers import Array, Block, Dense, Down, FirstDown, LastUp, Linear, Noise, Snake, Up, fresh
from hac_cli.model.numpy_layers import Layer as NumpyLayer
from hac_cli.model.pipeline import Half
from hac_cli.model.plan import Layer, decoder_plan, encoder_plan

Tensors = Mapping[str, Array]


def _sharpness(tensors: Tensors, name: str) -> Array:
    """Snake's α, never 0, so that it can be divided by."""
    alpha = tensors[f"{name}.alpha"]
    return np.where(alpha == 0, np.float32(1e-12), alpha)


def _linear(tensors: Tensors, name: str, snake: Array | float = 1.0) -> tuple[Array, Array]:
    """Weight ``[inputs, outputs]`` and bias."""
    return tensors[f"{name}.weight"].T / np.reshape(snake, (-1, 1)), tensors[f"{name}.bias"]


def _block(tensors: Tensors, name: str, layer: Layer) -> Block:
    alpha, gain = _sharpness(tensors, f"{name}.snake"), tensors[f"{name}.gain"]
    wide, bias = _linear(tensors, f"{name}.wide")
    bias = tensors[f"{name}.depthwise.bias"] @ wide + bias
    narrow, narrow_bias = _linear(tensors, f"{name}.narrow", alpha)
    return Block(
        tensors[f"{name}.depthwise.weight"],
        layer.dilation,
        (wide * alpha, bias * alpha),
        (narrow * gain, narrow_bias * gain),
    )


def _down(tensors: Tensors, name: str, layer: Layer) -> Down | FirstDown:
    taps = tensors[f"{name}.weight"]  # [kernel, inputs, multiplier]
    bias = tensors[f"{name}.pointwise.bias"]
    pointwise = tensors[f"{name}.pointwise.weight"].reshape(layer.outputs, layer.inputs, -1)
    if layer.inputs == 1:
        return FirstDown(taps[:, 0] @ pointwise[:, 0].T, bias)
    weight = pointwise.transpose(2, 1, 0).reshape(-1, layer.outputs)
    return Down(np.ascontiguousarray(taps.transpose(2, 0, 1)), weight, bias, layer.stride)


def _up(tensors: Tensors, name: str, layer: Layer, snake: Array | float) -> Up | LastUp:
    taps = tensors[f"{name}.weight"]  # [kernel, outputs, multiplier]
    bias = np.einsum("kom,om->ko", taps, tensors[f"{name}.pointwise.bias"].reshape(layer.outputs, -1))
    bias = bias[: layer.stride] + bias[layer.stride :]
    pointwise = tensors[f"{name}.pointwise.weight"].reshape(layer.outputs, -1, layer.inputs) / snake
    new, old = taps[: layer.stride], taps[layer.stride :]
    if layer.outputs == 1:
        return LastUp(np.concatenate([(part[:, 0] @ pointwise[0]).T for part in (old, new)]), bias[:, 0])
    weight = pointwise.transpose(2, 1, 0).reshape(layer.inputs, -1)
    both = np.concatenate([part.transpose(0, 2, 1) for part in (old, new)], 1)
    return Up(weight, np.ascontiguousarray(both), bias)


def _layers(plan: Sequence[Layer], tensors: Tensors, name: str) -> list[NumpyLayer]:
    """Layers one after the other, as ``layers.Chain``; ``name`` is that of its tensors."""
    layers: list[NumpyLayer] = []
    snake: Array | float = 1.0
    for index, layer in enumerate(plan):
        here = f"{name}.{index}"
        if layer.kind == "snake":
            snake = _sharpness(tensors, here)
            layers.append(Snake(snake))
            continue
        layers.append(
            _block(tensors, here, layer) if layer.kind == "block"
            else _down(tensors, here, layer) if layer.kind == "down"
            else _up(tensors, here, layer, snake) if layer.kind == "up"
            else Noise(*_linear(tensors, f"{here}.amount"), layer.stride) if layer.kind == "noise"
            else Dense(*_linear(tensors, here), layer.taps) if layer.kind == "dense"
            else Linear(*_linear(tensors, here, snake))
        )  # fmt: skip
        snake = 1.0
    return layers


class Part:
    """Layers with the state of a stream: ``[channels, steps, inputs]`` to ``[channels, steps, outputs]``."""

    def __init__(self, layers: Sequence[NumpyLayer], channels: int, frame: int = 0) -> None:
        self._layers = layers
        self._states = [[fresh(layer, frame) for layer in layers] for _ in range(channels)]

    def __call__(self, inputs: Array) -> Array:
        """Channel by channel: the network hears one voice at a time."""
        return np.stack([self._run(x, state) for x, state in zip(inputs, self._states, strict=True)])

    def _run(self, x: Array, state: list[Array]) -> Array:
        for index, layer in enumerate(self._layers):
            x, state[index] = layer(x, state[index])
        return x


def _at_frame_rate(blocks: Sequence[int]) -> int:
    """How many layers of a half of the network run once a frame: about half of the work."""
    return blocks[-1] + 2


class NumpyEngine:
    """Codes with a released network."""

    def __init__(self, config: ModelConfig, tensors: Tensors) -> None:
        self.config, self._tensors = config, tensors
        self._mean, self._scale = tensors["input_scale.mean"], tensors["input_scale.scale"]

    @functools.cached_property
    def encoder_layers(self) -> list[NumpyLayer]:
        return _layers(encoder_plan(self.config), self._tensors, "encoder")

    @functools.cached_property
    def decoder_layers(self) -> list[NumpyLayer]:
        return _layers(decoder_plan(self.config), self._tensors, "decoder")

    def encoder(self, channels: int) -> tuple[Half, Half]:
        layers = self.encoder_layers
        at = len(layers) - _at_frame_rate(self.config.blocks)
        outer, inner = Part(layers[:at], channels), Part(layers[at:], channels)
        return lambda audio: outer(self.scaled(audio)), lambda middle: self._tokens(inner(middle))

    def decoder(self, channels: int, frame: int = 0) -> tuple[Half, Half]:
        layers = self.decoder_layers
        at = _at_frame_rate(self.config.decoder_blocks or self.config.blocks)
        inner, outer = Part(layers[:at], channels, frame), Part(layers[at:], channels, frame)
        return lambda tokens: inner(self._signs(tokens)), lambda middle: outer(middle)[..., 0] * self._scale

    def scaled(self, audio: Array) -> Array:
        return ((audio - self._mean) / self._scale)[..., None]

    def _tokens(self, latents: Array) -> NDArray[np.int32]:
        weights = 1 << np.arange(latents.shape[-1], dtype=np.int32)
        return ((latents > 0) @ weights).astype(np.int32)[..., None]

    def _signs(self, tokens: NDArray[np.int32]) -> Array:
        bits = tokens >> np.arange(self.config.bits_per_token) & 1
        return bits.astype(np.float32) * 2 - 1
