"""The layers of ``numpy_engine``, with all that is constant multiplied out.

Arrays are ``[steps, channels]``. A layer that looks back has a state, the last steps of what it has seen, ``past``
many of ``width`` channels, and is ``(input, past) -> (output, past)``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hac_cli.model import noise

Array = NDArray[np.float32]


class Layer(Protocol):
    past: int
    width: int

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]: ...


def product(x: Array, weight: Array) -> Array:
    """``x @ weight``. OpenBLAS needs twice as long for 3 rows as for 4, and live audio comes in few rows."""
    missing = -len(x) % 4
    if not missing:
        return x @ weight
    padded = np.zeros((len(x) + missing, x.shape[1]), np.float32)
    padded[: len(x)] = x
    return (padded @ weight)[: len(x)]


def depthwise(seen: Array, taps: Array, y: Array, stride: int = 1, dilation: int = 1) -> Array:
    """Into ``y [steps, channels]``: every channel on its own with ``taps [kernel, channels]``, in a single pass."""
    step, channel = seen.strides
    shape = (len(y), *taps.shape)
    windows: Array = np.ndarray(shape, np.float32, seen, strides=(stride * step, dilation * step, channel))
    np.einsum("tkc,kc->tc", windows, taps, out=y)
    return y


def snake(u: Array) -> Array:
    """``u + sin²(u)``, in place."""
    wave = np.sin(u)
    wave *= wave
    u += wave
    return u


class Linear:
    past = width = 0

    def __init__(self, weight: Array, bias: Array) -> None:
        """Weight ``[inputs, outputs]``."""
        self.weight, self.bias = np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        y = product(x, self.weight)
        y += self.bias
        return y, past


class Dense:
    """``Linear`` on a few steps side by side, the oldest first."""

    def __init__(self, linear: Linear, taps: int) -> None:
        self.linear, self.taps = linear, taps
        self.past, self.width = taps - 1, len(linear.weight) // taps

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        y, _ = self.linear(np.concatenate([seen[k : k + len(x)] for k in range(self.taps)], 1), past)
        return y, seen[len(x) :]


class Snake:
    """Snake times α: ``α·x + sin²(α·x)``. The 1/α is in the weights that follow."""

    past = width = 0

    def __init__(self, alpha: Array) -> None:
        self.alpha = alpha

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        return snake(x * self.alpha), past


class Block:
    """Residual: depthwise, linear up, Snake, linear down."""

    def __init__(self, taps: Array, dilation: int, wide: Linear, narrow: Linear) -> None:
        """``taps`` is ``[kernel, channels]``."""
        self.taps, self.dilation, self.wide, self.narrow = taps, dilation, wide, narrow
        self.past, self.width = (len(taps) - 1) * dilation, taps.shape[1]

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        y = depthwise(seen, self.taps, np.empty_like(x), dilation=self.dilation)
        wide, _ = self.wide(y, past)
        y, _ = self.narrow(snake(wide), past)
        y += x
        return y, seen[len(x) :]


class Noise:
    """Adds noise, as much as a linear layer says; its state is the step in the noise."""

    past = width = 1

    def __init__(self, amount: Linear, steps_per_frame: int) -> None:
        self.amount, self.steps_per_frame = amount, steps_per_frame
        self.values, self.signs = noise.tables(amount.weight.shape[1])

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        steps = int(past[0, 0]) + np.arange(len(x))
        y, _ = self.amount(x, past)
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
        self.taps, self.weight, self.bias, self.stride = taps, np.ascontiguousarray(weight), bias, stride
        self.past, self.width = stride, taps.shape[2]

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        parts = np.empty((len(x) // self.stride, len(self.taps), self.width), np.float32)
        for index, taps in enumerate(self.taps):
            depthwise(seen, taps, parts[:, index], stride=self.stride)
        y = product(parts.reshape(len(parts), -1), self.weight)
        y += self.bias
        return y, seen[len(x) :]


class Up:
    """Transposed convolution of kernel 2·stride: a matrix product, then every channel from ``multiplier`` of them."""

    past = 1

    def __init__(self, weight: Array, taps: Array, bias: Array) -> None:
        """``weight`` is ``[inputs, multiplier·outputs]``, ``taps [stride, 2·multiplier, outputs]``, those for the step
        before first, ``bias [stride, outputs]``."""
        self.weight, self.taps, self.bias = np.ascontiguousarray(weight), taps, bias
        self.width = weight.shape[1]

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, product(x, self.weight)])
        rows = seen.reshape(-1, self.bias.shape[1])
        y = np.empty((len(x), *self.bias.shape), np.float32)
        for index, taps in enumerate(self.taps):
            depthwise(rows, taps, y[:, index], stride=len(taps) // 2)
        y += self.bias
        return y.reshape(-1, self.bias.shape[1]), seen[len(x) :]


class FirstDown:
    """``Down`` from a single channel, where one matrix product is faster: ``weight [2·stride, outputs]``."""

    width = 1

    def __init__(self, weight: Array, bias: Array) -> None:
        self.weight, self.bias, self.past = np.ascontiguousarray(weight), bias, len(weight) // 2

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        groups = seen.reshape(-1, self.past)
        y = product(np.concatenate([groups[:-1], groups[1:]], 1), self.weight)
        y += self.bias
        return y, seen[len(x) :]


class LastUp:
    """``Up`` to a single channel, where one matrix product is faster: ``weight [2·inputs, stride]``."""

    past = 1

    def __init__(self, weight: Array, bias: Array) -> None:
        self.weight, self.bias, self.width = np.ascontiguousarray(weight), bias, len(weight) // 2

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        seen = np.concatenate([past, x])
        y = product(np.concatenate([seen[:-1], seen[1:]], 1), self.weight)
        y += self.bias
        return y.reshape(-1, 1), seen[len(x) :]
