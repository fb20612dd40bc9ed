"""The layers of ``numpy_engine``, with all that is constant multiplied out.

Arrays are ``[steps, channels]``. A layer that looks back has a state, the last steps of what it has seen, ``past``
many of ``width`` channels, and is ``(input, past) -> (output, past)``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hac_cli.model import noise
from hac_cli.model.numpy_kernels import Array

try:
    from hac_cli.model import compiled_kernels as kernels
except ImportError:
    from hac_cli.model import numpy_kernels as kernels  # type: ignore[no-redef]


class Layer(Protocol):
    past: int
    width: int

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]: ...


def windows(seen: Array, taps: int) -> Array:
    """Every ``taps`` steps of ``seen [steps, channels]`` side by side, the oldest first, as rows that overlap."""
    steps, channels = seen.shape
    return np.ndarray((steps - taps + 1, taps * channels), np.float32, seen, strides=seen.strides)


class Linear:
    past = width = 0

    def __init__(self, weight: Array, bias: Array) -> None:
        """Weight ``[inputs, outputs]``."""
        self.matrix = kernels.Matrix(weight, bias)

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        return self.matrix(x), past


class Dense:
    """``Linear`` on a few steps side by side, the oldest first."""

    def __init__(self, weight: Array, bias: Array, taps: int) -> None:
        self.matrix, self.taps = kernels.Matrix(weight, bias), taps
        self.past, self.width = taps - 1, len(weight) // taps

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        return self.matrix(windows(seen, self.taps)), seen[len(x) :]


class Snake:
    """Snake times α: ``α·x + sin²(α·x)``. The 1/α is in the weights that follow."""

    past = width = 0

    def __init__(self, alpha: Array) -> None:
        self.alpha = alpha

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        return kernels.snake(x, self.alpha), past


class Block:
    """Residual: depthwise, linear up, Snake, linear down."""

    def __init__(self, taps: Array, dilation: int, wide: tuple[Array, Array], narrow: tuple[Array, Array]) -> None:
        """``taps`` is ``[kernel, channels]``; of both linear layers weight ``[inputs, outputs]`` and bias, with α."""
        self.taps, self.dilation = taps, dilation
        self.wide, self.narrow = kernels.Matrix(*wide), kernels.Matrix(*narrow)
        self.past, self.width = (len(taps) - 1) * dilation, taps.shape[1]

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        return kernels.block(seen, self.taps, self.dilation, self.wide, self.narrow), seen[len(x) :]


class Noise:
    """Adds noise, as much as a linear layer says; its state is the step in the noise."""

    past = width = 1

    def __init__(self, weight: Array, bias: Array, steps_per_frame: int) -> None:
        """Weight ``[channels, channels]``."""
        self.amount, self.steps_per_frame = kernels.Matrix(weight, bias), steps_per_frame
        self.values, self.signs = noise.tables(len(weight))

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        steps = int(past[0, 0]) + np.arange(len(x))
        y = self.amount(x)
        y *= self.values[steps % len(self.values)]
        y *= self.signs[steps % len(self.signs)]
        y += x
        return y, (past + len(x)) % noise.PERIOD


def fresh(layer: Layer, frame: int) -> Array:
    """The state of a stream that begins at ``frame``, with nothing in front of it."""
    step = frame * layer.steps_per_frame % noise.PERIOD if isinstance(layer, Noise) else 0
    return np.full((layer.past, layer.width), step, np.float32)


class Down:
    """Strided convolution of kernel 2·stride: every channel to ``multiplier`` of its own, then a matrix product."""

    def __init__(self, taps: Array, weight: Array, bias: Array, stride: int) -> None:
        """``taps`` is ``[multiplier, kernel, inputs]``, ``weight [multiplier·inputs, outputs]``."""
        self.taps, self.matrix, self.stride = taps, kernels.Matrix(weight, bias), stride
        self.past, self.width = stride, taps.shape[2]

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        parts = np.empty((len(x) // self.stride, len(self.taps), self.width), np.float32)
        for index, taps in enumerate(self.taps):
            kernels.depthwise(seen, taps, parts[:, index], stride=self.stride)
        return self.matrix(parts.reshape(len(parts), -1)), seen[len(x) :]


class Up:
    """Transposed convolution of kernel 2·stride: a matrix product, then every channel from ``multiplier`` of them."""

    past = 1

    def __init__(self, weight: Array, taps: Array, bias: Array) -> None:
        """``weight`` is ``[inputs, multiplier·outputs]``, ``taps [stride, 2·multiplier, outputs]``, those for the step
        before first, ``bias [stride, outputs]``."""
        self.width = weight.shape[1]
        self.matrix, self.taps, self.bias = kernels.Matrix(weight, np.zeros(self.width, np.float32)), taps, bias

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, self.matrix(x)])
        rows = seen.reshape(-1, self.bias.shape[1])
        y = np.empty((len(x), *self.bias.shape), np.float32)
        for index, taps in enumerate(self.taps):
            kernels.depthwise(rows, taps, y[:, index], stride=len(taps) // 2)
        y += self.bias
        return y.reshape(-1, self.bias.shape[1]), seen[len(x) :]


class FirstDown:
    """``Down`` from a single channel, where one matrix product is faster: ``weight [2·stride, outputs]``."""

    width = 1

    def __init__(self, weight: Array, bias: Array) -> None:
        self.matrix, self.past = kernels.Matrix(weight, bias), len(weight) // 2

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        return self.matrix(windows(seen.reshape(-1, self.past), 2)), seen[len(x) :]


class LastUp:
    """``Up`` to a single channel, where one matrix product is faster: ``weight [2·inputs, stride]``."""

    past = 1

    def __init__(self, weight: Array, bias: Array) -> None:
        self.matrix, self.width = kernels.Matrix(weight, bias), len(weight) // 2

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        return self.matrix(windows(seen, 2)).reshape(-1, 1), seen[len(x) :]
