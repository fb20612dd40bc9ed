"""What a recogniser makes of speech, and the way back: by these features a search keeps words apart.

``losses.recogniser`` without torch. Arrays are ``[steps, channels]``; each part gives its output and a trace, from
which its ``back`` leads a gradient of the output to one of the input.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hac_cli.losses.hearing import sinusoids
from hac_cli.model.numpy_engine import Chain
from hac_cli.model.numpy_layers import Matrix, Product

Array = NDArray[np.float32]
Tensors = dict[str, Array]

WEIGHTS = Path(__file__).parent / "model" / "weights" / "recogniser.npz"
HEADS = 6
TAPS = 3
NORMS = {"qkv": "attention_norm", "wide": "feed_norm"}  # what is before each
EPSILON = 1e-5
GELU, CUBIC = math.sqrt(2 / math.pi), 0.044715  # of its approximation by tanh (Hendrycks and Gimpel, 2016)


def read_tensors(path: Path = WEIGHTS) -> Tensors:
    """Matrices ``[outputs, inputs]`` are in integers of 8 bits, with a scale for each output."""
    with np.load(path) as file:
        arrays = dict(file)
    return {
        name: array * arrays[f"{name}.scale"][:, None] if array.dtype == np.int8 else array
        for name, array in arrays.items()
        if not name.endswith(".scale")
    }


class _Affine:
    """A matrix product with a bias."""

    def __init__(self, there: Chain, back: Chain) -> None:
        self._there, self._back = there, back

    def __call__(self, x: Array) -> Array:
        return self._there(x, self._there.fresh())

    def back(self, gradient: Array) -> Array:
        return self._back(gradient, self._back.fresh())


def _affines(tensors: Tensors) -> dict[str, _Affine]:
    """All that there are, with the scale and the shift of a norm before them multiplied in. Products are in integers
    of 16 bits where there is a C compiler, and side by side in memory."""
    names = [name for name, array in tensors.items() if array.ndim == 2]
    layers = []
    for name in names:
        weight, bias = tensors[name], tensors[name.replace(".weight", ".bias")]
        norm = NORMS.get(name.split(".")[-2])
        if norm:
            norm = name.replace(name.split(".")[-2], norm)
            bias = bias + weight @ tensors[norm.replace(".weight", ".bias")]
            weight = weight * tensors[norm]
        layers += [_product(weight.T, bias), _product(weight, np.zeros(weight.shape[1], np.float32))]
    chain = Chain(layers, integers=True)
    return {
        name.removesuffix(".weight"): _Affine(chain[at : at + 1], chain[at + 1 : at + 2])
        for at, name in zip(range(0, len(layers), 2), names, strict=True)
    }


def _product(weight: Array, bias: Array) -> Product:
    """``weight [inputs, outputs]``."""
    return Product(Matrix(weight, bias), len(weight), hop=len(weight))


def _gelu(x: Array) -> tuple[Array, Array]:
    """And its slope."""
    square = np.square(x)
    tanh: Array = np.tanh(np.float32(GELU) * x * (1 + CUBIC * square))
    half: Array = 0.5 * (1 + tanh)
    return x * half, half + 0.5 * x * (1 - np.square(tanh)) * np.float32(GELU) * (1 + 3 * CUBIC * square)


def _normed(x: Array) -> tuple[Array, Array]:
    """Each step with mean 0 and variance 1, and what it was divided by."""
    x = x - x.mean(-1, keepdims=True)
    size = np.sqrt(np.square(x).mean(-1, keepdims=True) + np.float32(EPSILON))
    return x / size, size


def _back_normed(gradient: Array, y: Array, size: Array) -> Array:
    along = y * (gradient * y).mean(-1, keepdims=True)
    found: Array = (gradient - gradient.mean(-1, keepdims=True) - along) / size
    return found


class _Convolution:
    """Three steps side by side, one before and one behind each that counts, and GELU."""

    def __init__(self, affine: _Affine, stride: int) -> None:
        self._affine, self._stride = affine, stride

    def __call__(self, x: Array) -> tuple[Array, Array]:
        windows = sliding_window_view(np.pad(x, ((1, 1), (0, 0))), TAPS, axis=0)[:: self._stride]
        return _gelu(self._affine(windows.transpose(0, 2, 1).reshape(len(windows), -1)))

    def back(self, gradient: Array, slope: Array, steps: int) -> Array:
        """``steps`` are those of the input."""
        windows = self._affine.back(gradient * slope).reshape(len(gradient), TAPS, -1)
        found = np.zeros((steps + 2, windows.shape[2]), np.float32)
        for tap in range(TAPS):
            found[tap :: self._stride][: len(windows)] += windows[:, tap]
        return found[1:-1]


@functools.lru_cache(4)
def _positions(count: int, width: int) -> Array:
    """The same for every decoding of a passage, and passages are mostly as long as each other."""
    return sinusoids(count, width)


class _Attention:
    """Every position hears all others (Vaswani et al., 2017)."""

    def __init__(self, qkv: _Affine, out: _Affine) -> None:
        self._qkv, self._out = qkv, out

    def __call__(self, x: Array) -> tuple[Array, Any]:
        normed, size = _normed(x)
        q, k, v = self._qkv(normed).reshape(len(x), 3, HEADS, -1).transpose(1, 2, 0, 3)
        k = k * np.float32(k.shape[-1] ** -0.5)
        shares = q @ k.transpose(0, 2, 1)
        shares = np.exp(shares - shares.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        heard = (shares @ v).transpose(1, 0, 2).reshape(x.shape)
        return x + self._out(heard), (normed, size, q, k, v, shares)

    def back(self, gradient: Array, trace: Any) -> Array:
        normed, size, q, k, v, shares = trace
        heard = self._out.back(gradient).reshape(len(gradient), HEADS, -1).transpose(1, 0, 2)
        by_shares = heard @ v.transpose(0, 2, 1)
        by_scores = shares * (by_shares - (by_shares * shares).sum(-1, keepdims=True))
        by_k = by_scores.transpose(0, 2, 1) @ q * np.float32(k.shape[-1] ** -0.5)
        parts = np.stack([by_scores @ k, by_k, shares.transpose(0, 2, 1) @ heard])
        by_normed = self._qkv.back(parts.transpose(2, 0, 1, 3).reshape(len(gradient), -1))
        return gradient + _back_normed(by_normed, normed, size)


class _Feed:
    """The same network for every position."""

    def __init__(self, wide: _Affine, narrow: _Affine) -> None:
        self._wide, self._narrow = wide, narrow

    def __call__(self, x: Array) -> tuple[Array, Any]:
        normed, size = _normed(x)
        wide, slope = _gelu(self._wide(normed))
        return x + self._narrow(wide), (normed, size, slope)

    def back(self, gradient: Array, trace: Any) -> Array:
        normed, size, slope = trace
        return gradient + _back_normed(self._wide.back(self._narrow.back(gradient) * slope), normed, size)


class Recogniser:
    """Log magnitudes in mel bands ``[steps, RECOGNISER_MELS]`` to features ``[positions, width]``."""

    def __init__(self, tensors: Tensors) -> None:
        self._mean, self._scale = tensors["mean"], tensors["norm.weight"]
        affines = _affines(tensors)
        self._convolutions = [_Convolution(affines["conv1"], 1), _Convolution(affines["conv2"], 2)]
        self._layers: list[_Attention | _Feed] = []
        for name in sorted(name.removesuffix(".qkv") for name in affines if name.endswith(".qkv")):
            self._layers.append(_Attention(affines[f"{name}.qkv"], affines[f"{name}.out"]))
            self._layers.append(_Feed(affines[f"{name}.wide"], affines[f"{name}.narrow"]))

    def __call__(self, logs: Array) -> tuple[Array, Any]:
        """The trace is what ``back`` needs. Features lack their shift, the same for all."""
        steps, slopes, traces = [len(logs)], [], []
        x = logs - self._mean
        for convolution in self._convolutions:
            x, slope = convolution(x)
            slopes.append(slope)
            steps.append(len(x))
        x = x + _positions(*x.shape)
        for layer in self._layers:
            x, trace = layer(x)
            traces.append(trace)
        normed, size = _normed(x)
        return normed * self._scale, (steps, slopes, traces, normed, size)

    def back(self, gradient: Array, trace: Any) -> Array:
        """The gradient of the logs, from that of the features."""
        steps, slopes, traces, normed, size = trace
        gradient = _back_normed(gradient * self._scale, normed, size)
        for layer, met in zip(reversed(self._layers), reversed(traces), strict=True):
            gradient = layer.back(gradient, met)
        for convolution, slope, before in reversed(list(zip(self._convolutions, slopes, steps, strict=False))):
            gradient = convolution.back(gradient, slope, before)
        return gradient


@functools.cache
def recogniser() -> Recogniser:
    """The one that ships."""
    return Recogniser(read_tensors())
