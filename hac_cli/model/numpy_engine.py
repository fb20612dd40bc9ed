"""The released networks without torch: what the command line codes with.

It computes what the torch network computes, from the same weights, but for the rounding. Numpy loads in a tenth of the
time that torch takes; the layers run in C, or in numpy where there is no C compiler. Biases that are constant through
several layers are multiplied out first; weights stay what they are, since as such they are halves of floats.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hac_cli.model.config import ModelConfig
from hac_cli.model.numpy_layers import Array, Block, Down, Matrix, Noise, Product, Snake, Up
from hac_cli.model.numpy_layers import Layer as NumpyLayer
from hac_cli.model.pipeline import Half
from hac_cli.model.plan import Layer, decoder_plan, encoder_plan

try:
    from hac_cli.model.compiled_layers import Chain
except ImportError:
    from hac_cli.model.numpy_layers import Chain  # type: ignore[assignment]

Tensors = Mapping[str, Array]


def _sharpness(tensors: Tensors, name: str) -> Array:
    """Snake's α, never 0, so that it can be divided by."""
    alpha = tensors[f"{name}.alpha"]
    return np.where(alpha == 0, np.float32(1e-12), alpha)


def _matrix(tensors: Tensors, name: str) -> Matrix:
    return Matrix(tensors[f"{name}.weight"].T, tensors[f"{name}.bias"])


def _linear(matrix: Matrix, taps: int = 1) -> Product:
    """On ``taps`` steps side by side, the oldest first."""
    width = matrix.inputs // taps
    return Product(matrix, width, hop=width)


def _block(tensors: Tensors, name: str, layer: Layer) -> Block:
    wide = _matrix(tensors, f"{name}.wide")
    wide = Matrix(wide.weight, tensors[f"{name}.depthwise.bias"] @ wide.weight + wide.bias)
    narrow, gain = _matrix(tensors, f"{name}.narrow"), tensors[f"{name}.gain"]
    snake = Snake(_sharpness(tensors, f"{name}.snake"))
    return Block(tensors[f"{name}.depthwise.weight"], layer.dilation, wide, snake, narrow, gain)


def _down(tensors: Tensors, name: str, layer: Layer) -> Down | Product:
    taps = tensors[f"{name}.weight"]  # [kernel, inputs, multiplier]
    bias = tensors[f"{name}.pointwise.bias"]
    pointwise = tensors[f"{name}.pointwise.weight"].reshape(layer.outputs, layer.inputs, -1)
    if layer.inputs == 1:  # one product is faster
        return Product(Matrix(taps[:, 0] @ pointwise[:, 0].T, bias), width=1, hop=layer.stride)
    weight = pointwise.transpose(2, 1, 0).reshape(-1, layer.outputs)
    return Down(np.ascontiguousarray(taps.transpose(2, 0, 1)), Matrix(weight, bias), layer.stride)


def _up(tensors: Tensors, name: str, layer: Layer) -> Up | Product:
    taps = tensors[f"{name}.weight"]  # [kernel, outputs, multiplier]
    bias = np.einsum("kom,om->ko", taps, tensors[f"{name}.pointwise.bias"].reshape(layer.outputs, -1))
    bias = bias[: layer.stride] + bias[layer.stride :]
    pointwise = tensors[f"{name}.pointwise.weight"].reshape(layer.outputs, -1, layer.inputs)
    new, old = taps[: layer.stride], taps[layer.stride :]
    if layer.outputs == 1:  # one product is faster
        weight = np.concatenate([(part[:, 0] @ pointwise[0]).T for part in (old, new)])
        return Product(Matrix(weight, bias[:, 0]), width=layer.inputs, hop=layer.inputs, outputs=1)
    weight = pointwise.transpose(2, 1, 0).reshape(layer.inputs, -1)
    both = np.concatenate([part.transpose(0, 2, 1) for part in (old, new)], 1)
    return Up(Matrix(weight), np.ascontiguousarray(both), bias)


def _layer(layer: Layer, tensors: Tensors, name: str) -> NumpyLayer:
    """``name`` is that of its tensors."""
    if layer.kind == "block":
        return _block(tensors, name, layer)
    if layer.kind == "down":
        return _down(tensors, name, layer)
    if layer.kind == "up":
        return _up(tensors, name, layer)
    if layer.kind == "noise":
        return Noise(_matrix(tensors, f"{name}.amount"), layer.stride)
    if layer.kind == "snake":
        return Snake(_sharpness(tensors, name))
    return _linear(_matrix(tensors, name), layer.taps)


def _layers(plan: Sequence[Layer], tensors: Tensors, name: str) -> list[NumpyLayer]:
    """Layers one after the other, as ``layers.Chain``."""
    return [_layer(layer, tensors, f"{name}.{index}") for index, layer in enumerate(plan)]


class Part:
    """Layers with the states of streams: ``[channels, steps, inputs]`` to ``[channels, steps, outputs]``."""

    def __init__(self, chain: Chain, channels: int, frame: int = 0) -> None:
        self._chain = chain
        self._states = [chain.fresh(frame) for _ in range(channels)]

    def __call__(self, inputs: Array) -> Array:
        """Channel by channel: the network hears one voice at a time."""
        return np.array([self._chain(x, state) for x, state in zip(inputs, self._states, strict=True)])


def _middle(plan: Sequence[Layer], steps: int) -> int:
    """After how many layers about half of the work is done, where ``steps`` go in for each frame: two threads share it.
    Nearly all of it are the products of blocks."""
    work = [0]
    for layer in plan:
        steps = steps * layer.stride if layer.kind == "up" else steps // layer.stride if layer.kind == "down" else steps
        work.append(work[-1] + (layer.kind == "block") * steps * layer.inputs * layer.outputs)
    return min(range(len(work)), key=lambda index: abs(work[-1] - 2 * work[index]))


class NumpyEngine:
    """Codes with a released network."""

    def __init__(self, config: ModelConfig, tensors: Tensors) -> None:
        self.config, self._tensors = config, tensors
        self._values = 1 << np.arange(config.bits_per_token, dtype=np.int32)
        self._mean, self.output_scale = tensors["input_scale.mean"], tensors["input_scale.scale"]

    @functools.cached_property
    def encoder_layers(self) -> list[NumpyLayer]:
        return _layers(encoder_plan(self.config), self._tensors, "encoder")

    @functools.cached_property
    def decoder_layers(self) -> list[NumpyLayer]:
        return _layers(decoder_plan(self.config), self._tensors, "decoder")

    @functools.cached_property
    def _encoder(self) -> tuple[Chain, Chain]:
        chain, at = Chain(self.encoder_layers), _middle(encoder_plan(self.config), self.config.hop_length)
        return chain[:at], chain[at:]

    @functools.cached_property
    def _decoder(self) -> tuple[Chain, Chain]:
        chain, at = Chain(self.decoder_layers, integers=True), _middle(decoder_plan(self.config), 1)
        return chain[:at], chain[at:]

    def encoder(self, channels: int) -> tuple[Half, Half]:
        first, second = (Part(chain, channels) for chain in self._encoder)
        return lambda audio: first(self.scaled(audio)), lambda middle: self.tokens(second(middle))

    def decoder(self, channels: int, frame: int = 0) -> tuple[Half, Half]:
        first, second = (Part(chain, channels, frame) for chain in self._decoder)
        return lambda tokens: first(self._signs(tokens)), lambda middle: second(middle)[..., 0] * self.output_scale

    def analyser(self, channels: int) -> Half:
        """As ``encoder``, to latents ``[channels, frames, bits]``, float32."""
        first, second = (Part(chain, channels) for chain in self._encoder)
        return lambda audio: second(first(self.scaled(audio)))

    def scaled(self, audio: Array) -> Array:
        return ((audio - self._mean) / self.output_scale)[..., None]

    def tokens(self, latents: Array) -> NDArray[np.int32]:
        """Of latents ``[..., frames, bits]``, ``[..., frames, 1]``."""
        return ((latents > 0) @ self._values)[..., None]

    def _signs(self, tokens: NDArray[np.int32]) -> Array:
        bits = tokens >> np.arange(self.config.bits_per_token) & 1
        return bits.astype(np.float32) * 2 - 1
