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
from hac_cli.model.numpy_layers import Array, Block, Down, FirstDown, LastUp, Linear, Snake, Up
from hac_cli.model.numpy_layers import Layer as NumpyLayer
from hac_cli.model.plan import Layer, decoder_plan, encoder_plan

Tensors = Mapping[str, Array]
State = list[Array]


def _sharpness(tensors: Tensors, name: str) -> Array:
    """Snake's α, never 0, so that it can be divided by."""
    alpha = tensors[f"{name}.alpha"]
    return np.where(alpha == 0, np.float32(1e-12), alpha)


def _linear(tensors: Tensors, name: str, snake: Array | float = 1.0) -> Linear:
    return Linear(tensors[f"{name}.weight"].T / np.reshape(snake, (-1, 1)), tensors[f"{name}.bias"])


def _block(tensors: Tensors, name: str, layer: Layer) -> Block:
    alpha, gain = _sharpness(tensors, f"{name}.snake"), tensors[f"{name}.gain"]
    wide, narrow = _linear(tensors, f"{name}.wide"), _linear(tensors, f"{name}.narrow", alpha)
    bias = tensors[f"{name}.depthwise.bias"] @ wide.weight + wide.bias
    return Block(
        tensors[f"{name}.depthwise.weight"],
        layer.dilation,
        Linear(wide.weight * alpha, bias * alpha),
        Linear(narrow.weight * gain, narrow.bias * gain),
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


class Chain:
    """Layers one after the other, as ``layers.Chain``; ``name`` is that of its tensors."""

    def __init__(self, plan: Sequence[Layer], tensors: Tensors, name: str) -> None:
        self.layers: list[NumpyLayer] = []
        snake: Array | float = 1.0
        for index, layer in enumerate(plan):
            here = f"{name}.{index}"
            if layer.kind == "snake":
                snake = _sharpness(tensors, here)
                self.layers.append(Snake(snake))
                continue
            self.layers.append(
                _block(tensors, here, layer) if layer.kind == "block"
                else _down(tensors, here, layer) if layer.kind == "down"
                else _up(tensors, here, layer, snake) if layer.kind == "up"
                else _linear(tensors, here, snake)
            )  # fmt: skip
            snake = 1.0

    def fresh(self) -> State:
        return [np.zeros((layer.past, layer.width), np.float32) for layer in self.layers]

    def __call__(self, x: Array, state: State) -> tuple[Array, State]:
        after = []
        for layer, past in zip(self.layers, state, strict=True):
            x, past = layer(x, past)
            after.append(past)
        return x, after


class NumpyEngine:
    """Codes with a released network. A state holds one channel's part for each channel."""

    def __init__(self, config: ModelConfig, tensors: Tensors) -> None:
        self.config, self._tensors = config, tensors
        self._mean, self._scale = tensors["input_scale.mean"], tensors["input_scale.scale"]

    @functools.cached_property
    def encoder(self) -> Chain:
        return Chain(encoder_plan(self.config), self._tensors, "encoder")

    @functools.cached_property
    def decoder(self) -> Chain:
        return Chain(decoder_plan(self.config), self._tensors, "decoder")

    def fresh_encoder(self, channels: int) -> list[State]:
        return [self.encoder.fresh() for _ in range(channels)]

    def fresh_decoder(self, channels: int) -> list[State]:
        return [self.decoder.fresh() for _ in range(channels)]

    def latents(self, audio: Array, state: list[State]) -> tuple[Array, list[State]]:
        """Audio ``[channels, samples]``, a whole number of frames, to latents ``[channels, frames, bits]``."""
        scaled = ((audio - self._mean) / self._scale)[..., None]
        return _each(self.encoder, scaled, state)

    def encode(self, audio: Array, state: list[State]) -> tuple[NDArray[np.int32], list[State]]:
        """Audio ``[channels, samples]``, a whole number of frames, to tokens ``[channels, frames, 1]``."""
        latents, state = self.latents(audio, state)
        weights = 1 << np.arange(latents.shape[-1], dtype=np.int32)
        return ((latents > 0) @ weights).astype(np.int32)[..., None], state

    def decode(self, tokens: NDArray[np.int32], state: list[State]) -> tuple[Array, list[State]]:
        """Tokens ``[channels, frames, 1]`` to audio ``[channels, samples]``."""
        bits = tokens >> np.arange(self.config.bits_per_token) & 1
        audio, state = _each(self.decoder, bits.astype(np.float32) * 2 - 1, state)
        return audio[..., 0] * self._scale, state


def _each(chain: Chain, inputs: Array, states: list[State]) -> tuple[Array, list[State]]:
    """Channel by channel: the network hears one voice at a time."""
    done = [chain(x, state) for x, state in zip(inputs, states, strict=True)]
    return np.stack([y for y, _ in done]), [state for _, state in done]
