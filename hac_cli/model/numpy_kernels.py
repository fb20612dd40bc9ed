"""What the layers of ``numpy_engine`` compute with, in numpy. ``compiled_kernels`` has the same in C."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Matrix:
    """``x @ weight + bias``, for ever the same weight ``[inputs, outputs]``."""

    def __init__(self, weight: Array, bias: Array) -> None:
        self.inputs, self.outputs = weight.shape
        self.weight, self.bias = np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)

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


def snake(x: Array, alpha: Array) -> Array:
    """``u + sin²(u)`` of ``u = alpha·x``."""
    return _snake(x * alpha)


def _snake(u: Array) -> Array:
    wave = np.sin(u)
    wave *= wave
    u += wave
    return u


def block(seen: Array, taps: Array, dilation: int, wide: Matrix, narrow: Matrix) -> Array:
    """The steps of ``seen [past + steps, channels]`` behind the first ``past`` with what depthwise convolution, matrix,
    Snake (α in the matrices) and matrix make of them added."""
    past = (len(taps) - 1) * dilation
    y = depthwise(seen, taps, np.empty_like(seen[past:]), dilation=dilation)
    y = narrow(_snake(wide(y)))
    y += seen[past:]
    return y
