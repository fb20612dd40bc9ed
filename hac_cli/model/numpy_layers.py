"""The layers of ``numpy_engine``.

Arrays are ``[steps, channels]``, of a layer's output ``outputs`` many. A layer that looks back has a state, the last
steps of what it has seen, ``past`` many of ``width`` channels, and is ``(input, past) -> (output, past)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hac_cli.model import noise

Array = NDArray[np.float32]


class Layer(Protocol):
    past: int
    width: int
    outputs: int

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]: ...


class Matrix:
    """``x @ weight + bias``, for ever the same weight ``[inputs, outputs]``."""

    def __init__(self, weight: Array, bias: Array | None = None) -> None:
        self.weight = weight
        self.inputs, self.outputs = weight.shape
        self.bias = np.zeros(self.outputs, np.float32) if bias is None else bias

    @property
    def halves(self) -> bool:
        """Whether bfloat16, the upper half of a float, holds every weight."""
        return not (self.weight.view(np.uint32) & 0xFFFF).any()

    def __call__(self, x: Array) -> Array:
        """OpenBLAS needs twice as long for 3 rows as for 4, and live audio comes in few rows."""
        if missing := -len(x) % 4:
            padded = np.zeros((len(x) + missing, self.inputs), np.float32)
            padded[: len(x)] = x
            y = (padded @ self.weight)[: len(x)]
        else:
            y = x @ self.weight
        y += self.bias
        return y


def depthwise(seen: Array, taps: Array, y: Array, stride: int = 1, dilation: int = 1) -> Array:
    """Into ``y [steps, channels]``: every channel on its own with ``taps [kernel, channels]``, in a single pass."""
    step, channel = seen.strides
    shape = (len(y), *taps.shape)
    windows: Array = np.ndarray(shape, np.float32, seen, strides=(stride * step, dilation * step, channel))
    np.einsum("tkc,kc->tc", windows, taps, out=y)
    return y


class Product:
    """A matrix product of windows of the input: every ``hop`` numbers, one of as many as the matrix has inputs."""

    def __init__(self, matrix: Matrix, width: int, hop: int, outputs: int | None = None) -> None:
        """``width`` are the channels of the input, ``outputs`` those of the output, if not the matrix's."""
        self.matrix, self.width, self.hop = matrix, width, hop
        self.past = (matrix.inputs - hop) // width
        self.outputs = outputs or matrix.outputs

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        shape = x.size // self.hop, self.matrix.inputs
        rows: Array = np.ndarray(shape, np.float32, seen, strides=(self.hop * seen.itemsize, seen.itemsize))
        return self.matrix(rows).reshape(-1, self.outputs), seen[len(x) :]


class Snake:
    """``x + sin²(αx)/α``."""

    past = 0

    def __init__(self, alpha: Array) -> None:
        self.alpha, self.width, self.outputs = alpha, len(alpha), len(alpha)

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        wave = np.sin(x * self.alpha)
        wave *= wave
        wave /= self.alpha
        return x + wave, past

    def slope(self, x: Array) -> Array:
        return 1 + np.sin(2 * self.alpha * x)

    def back(self, gradient: Array, past: Array, x: Array) -> Array:
        """The gradient of ``x``, what went in behind ``past``, from that of what came out."""
        return gradient * self.slope(x)


class Block:
    """Residual: depthwise, matrix, Snake, matrix, gain."""

    def __init__(self, taps: Array, dilation: int, wide: Matrix, snake: Snake, narrow: Matrix, gain: Array) -> None:
        """``taps`` is ``[kernel, channels]``."""
        self.taps, self.dilation, self.wide, self.snake, self.narrow = taps, dilation, wide, snake, narrow
        self.gain = gain
        self.past, self.width, self.outputs = (len(taps) - 1) * dilation, taps.shape[1], taps.shape[1]

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        y = depthwise(seen, self.taps, np.empty_like(x), dilation=self.dilation)
        wide, _ = self.snake(self.wide(y), past)
        y = self.narrow(wide)
        y *= self.gain
        y += x
        return y, seen[len(x) :]

    def back(self, gradient: Array, past: Array, x: Array) -> Array:
        """As ``Snake.back``."""
        seen = np.concatenate([past, x])
        wide = self.wide(depthwise(seen, self.taps, np.empty_like(x), dilation=self.dilation))
        lost = np.zeros_like(seen)  # behind the end, nothing
        lost[: len(x)] = (gradient * self.gain) @ self.narrow.weight.T * self.snake.slope(wide) @ self.wide.weight.T
        return gradient + depthwise(lost, self.taps[::-1].copy(), np.empty_like(x), dilation=self.dilation)


class Noise:
    """Adds noise, as much as a matrix says; its state is the step in the noise."""

    past = width = 1

    def __init__(self, amount: Matrix, steps_per_frame: int) -> None:
        self.amount, self.steps_per_frame, self.outputs = amount, steps_per_frame, amount.outputs
        self.values, self.signs = noise.tables(amount.outputs)

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        y = self.amount(x)
        y *= self.sound(int(past[0, 0]), len(x))
        y += x
        return y, (past + len(x)) % noise.PERIOD

    def sound(self, step: int, count: int) -> Array:
        """``count`` steps of noise ``[count, channels]``."""
        steps = step + np.arange(count)
        sound: Array = self.values[steps % len(self.values)]
        sound *= self.signs[steps % len(self.signs)]
        return sound

    def back(self, gradient: Array, past: Array, x: Array) -> Array:
        """As ``Snake.back``."""
        return gradient + gradient * self.sound(int(past[0, 0]), len(x)) @ self.amount.weight.T


class Down:
    """Strided convolution of kernel 2·stride: every channel to ``multiplier`` of its own, then a matrix product."""

    def __init__(self, taps: Array, matrix: Matrix, stride: int) -> None:
        """``taps`` is ``[multiplier, kernel, inputs]``; the matrix has ``multiplier·inputs`` inputs."""
        self.taps, self.matrix, self.stride = taps, matrix, stride
        self.past, self.width, self.outputs = stride, taps.shape[2], matrix.outputs

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        parts = np.empty((len(x) // self.stride, len(self.taps), self.width), np.float32)
        for index, taps in enumerate(self.taps):
            depthwise(seen, taps, parts[:, index], stride=self.stride)
        return self.matrix(parts.reshape(len(parts), -1)), seen[len(x) :]


class Up:
    """Transposed convolution of kernel 2·stride: a matrix product, then every channel from ``multiplier`` of them."""

    past = 1

    def __init__(self, matrix: Matrix, taps: Array, bias: Array) -> None:
        """The matrix has ``multiplier·outputs`` outputs and no bias; ``taps`` is ``[stride, 2·multiplier, outputs]``,
        those for the step before first, ``bias [stride, outputs]``."""
        self.matrix, self.taps, self.bias = matrix, taps, bias
        self.width, self.outputs = matrix.outputs, bias.shape[1]

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, self.matrix(x)])
        rows = seen.reshape(-1, self.bias.shape[1])
        y = np.empty((len(x), *self.bias.shape), np.float32)
        for index, taps in enumerate(self.taps):
            depthwise(rows, taps, y[:, index], stride=len(taps) // 2)
        y += self.bias
        return y.reshape(-1, self.bias.shape[1]), seen[len(x) :]


def fresh(layer: Layer, frame: int) -> Array:
    """The state of a stream that begins at ``frame``, with nothing in front of it."""
    step = frame * layer.steps_per_frame % noise.PERIOD if isinstance(layer, Noise) else 0
    return np.full((layer.past, layer.width), step, np.float32)


class Chain:
    """Layers one after the other. ``compiled_layers`` has the same in C, which can do with ``integers`` as well."""

    def __init__(self, layers: Sequence[Layer], integers: bool = False, back: bool = False) -> None:
        self.layers = layers

    def __getitem__(self, part: slice) -> Chain:
        """Some of the layers."""
        return Chain(self.layers[part])

    def fresh(self, frame: int = 0) -> list[Array]:
        """The state of a stream that begins at ``frame``."""
        return [fresh(layer, frame) for layer in self.layers]

    def __call__(self, x: Array, state: list[Array]) -> Array:
        """``[steps, inputs]`` to ``[steps, outputs]``; takes the state on."""
        for index, layer in enumerate(self.layers):
            x, state[index] = layer(x, state[index])
        return x

    def back(self, gradient: Array, state: list[Array], x: Array) -> Array:
        """Of one Block, Snake or Noise: the gradient of ``x``, which it met in that state, from that of its output."""
        (layer,) = self.layers
        assert isinstance(layer, (Block, Snake, Noise))
        return layer.back(gradient, state[0], x)
