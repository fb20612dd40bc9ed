"""The released networks in numpy: what the command line codes with.

It computes what the torch network computes, from the same weights, but for the rounding; there is no training, so
everything that is constant is multiplied out first. Numpy loads in a tenth of the time that torch takes, and at the
sizes of this network, a second of audio a call, nearly all of the work is in the same matrix products.

Arrays are ``[steps, channels]``. As in ``layers``, a layer that looks back has a state, the last ``context`` steps of
its input, and is ``(input, past) -> (output, past)``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.model.config import ModelConfig
from hac_cli.model.plan import Layer, decoder_plan, encoder_plan

Array = NDArray[np.float32]
Tensors = Mapping[str, Array]
State = list[Array]


class Linear:
    context = 0

    def __init__(self, weight: Array, bias: Array) -> None:
        """Weight ``[inputs, outputs]``."""
        self.weight, self.bias = np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        y = x @ self.weight
        y += self.bias
        return y, past


class Snake:
    """``α·x + sin²(α·x)``: Snake times α. The 1/α is in the weights that follow."""

    context = 0

    def __init__(self, alpha: Array) -> None:
        self.alpha = alpha

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        return _snake(x * self.alpha), past


def _snake(u: Array) -> Array:
    wave = np.sin(u)
    wave *= wave
    u += wave
    return u


class Block:
    """Residual: depthwise, linear up, Snake, linear down."""

    def __init__(self, taps: Array, dilation: int, wide: Linear, narrow: Linear) -> None:
        """``taps`` is ``[kernel, channels]``."""
        self.taps, self.dilation, self.wide, self.narrow = taps, dilation, wide, narrow
        self.context = (len(taps) - 1) * dilation

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        steps = len(x)
        seen = np.concatenate([past, x])
        y = seen[:steps] * self.taps[0]
        product = np.empty_like(y)
        for k in range(1, len(self.taps)):
            start = k * self.dilation
            y += np.multiply(seen[start : start + steps], self.taps[k], out=product)
        wide, _ = self.wide(y, past)
        y, _ = self.narrow(_snake(wide), past)
        y += x
        return y, seen[steps:]


class Down:
    """Strided convolution of kernel 2·stride, depthwise and pointwise part multiplied out: ``weight
    [2·stride·inputs, outputs]``."""

    def __init__(self, weight: Array, bias: Array, stride: int) -> None:
        self.weight, self.bias, self.stride, self.context = np.ascontiguousarray(weight), bias, stride, stride

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        groups = seen.reshape(len(seen) // self.stride, -1)
        y = np.concatenate([groups[:-1], groups[1:]], 1) @ self.weight
        y += self.bias
        return y, seen[len(x) :]


class Up:
    """Transposed convolution of kernel 2·stride, multiplied out: ``weight [2·inputs, stride·outputs]``."""

    context = 1

    def __init__(self, weight: Array, bias: Array, outputs: int) -> None:
        self.weight, self.bias, self.outputs = np.ascontiguousarray(weight), bias, outputs

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        y = np.concatenate([seen[:-1], seen[1:]], 1) @ self.weight
        y += self.bias
        return y.reshape(-1, self.outputs), seen[len(x) :]


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


def _down(tensors: Tensors, name: str, layer: Layer) -> Down:
    depthwise = tensors[f"{name}.weight"]  # [kernel, inputs, multiplier]
    kernel, inputs, multiplier = depthwise.shape
    pointwise = tensors[f"{name}.pointwise.weight"].reshape(layer.outputs, inputs, multiplier)
    dense = np.einsum("kim,oim->kio", depthwise, pointwise)
    return Down(dense.reshape(kernel * inputs, -1), tensors[f"{name}.pointwise.bias"], layer.stride)


def _up(tensors: Tensors, name: str, layer: Layer, snake: Array | float) -> Up:
    depthwise = tensors[f"{name}.weight"]  # [kernel, outputs, multiplier]
    _, outputs, multiplier = depthwise.shape
    pointwise = tensors[f"{name}.pointwise.weight"].reshape(outputs, multiplier, -1)
    dense = np.einsum("kom,omi->iko", depthwise, pointwise) / np.reshape(snake, (-1, 1, 1))
    new, old = dense[:, : layer.stride], dense[:, layer.stride :]
    bias = np.einsum("kom,om->ko", depthwise, tensors[f"{name}.pointwise.bias"].reshape(outputs, multiplier))
    weight = np.concatenate([old.reshape(layer.inputs, -1), new.reshape(layer.inputs, -1)])
    return Up(weight, (bias[: layer.stride] + bias[layer.stride :]).reshape(-1), outputs)


class Chain:
    """Layers one after the other, as ``layers.Chain``; ``name`` is that of its tensors."""

    def __init__(self, plan: Sequence[Layer], tensors: Tensors, name: str) -> None:
        self.layers: list[Any] = []
        self.channels = [layer.inputs for layer in plan]
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
        return [
            np.zeros((layer.context, channels), np.float32)
            for layer, channels in zip(self.layers, self.channels, strict=True)
        ]

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
