"""Back through the decoder, in the engine that has no torch: which signs would have led to what is wanted more.

What leads back through a layer is a layer again, on windows that look ahead: of a matrix its transpose, of a transposed
convolution a strided one.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from hac_cli.model.numpy_engine import Chain, NumpyEngine
from hac_cli.model.numpy_layers import Array, Down, Layer, Matrix, Product, Up

State = list[Any]
"""That of each layer."""
Trace = list[tuple[Any, Array]]
"""The state that each layer was in, and what it was given."""


class Decoder:
    """A network's decoder for one channel: signs ``[frames, bits]`` to audio ``[T]``, and gradients back."""

    def __init__(self, engine: NumpyEngine) -> None:
        self.hop_length = engine.config.hop_length
        self._scale = engine.output_scale
        self._ways = [Chain([layer], integers=True, back=True) for layer in engine.decoder_layers]
        self._back = [_transposed(layer) for layer in engine.decoder_layers]

    def fresh(self) -> State:
        """That of a stream that has begun."""
        return [way.fresh() for way in self._ways]

    def __call__(self, signs: Array, state: State) -> tuple[Array, State, Trace]:
        """Audio and the state behind it; the trace is what ``back`` needs."""
        trace: Trace = []
        after = [copy.copy(part) for part in state]
        x = signs
        for way, part, past in zip(self._ways, after, state, strict=True):
            trace.append((past, x))
            x = way(x, part)
        return x[:, 0] * self._scale, after, trace

    def back(self, gradient: Array, trace: Trace) -> Array:
        """The gradient of the signs, from that of the audio."""
        gradient = (gradient * self._scale)[:, None]
        for way, back, (past, x) in reversed(list(zip(self._ways, self._back, trace, strict=True))):
            gradient = back(gradient) if back else way.back(gradient, past, x)
        return gradient


class _Ahead:
    """A layer that looks back, looking ahead instead: at the end there is nothing more to see."""

    def __init__(self, layer: Product | Down, outputs: int) -> None:
        """``outputs`` are those of one step of the layer that it leads back through."""
        self._chain, self._width = Chain([layer], integers=True), layer.width
        self._rows = layer.past * layer.width // outputs
        self._behind = np.zeros((layer.past, layer.width), np.float32)

    def __call__(self, gradient: Array) -> Array:
        found = self._chain(np.concatenate([gradient.reshape(-1, self._width), self._behind]), self._chain.fresh())
        return found[self._rows :]


def _transposed(layer: Layer) -> _Ahead | None:
    if isinstance(layer, Product):
        return _Ahead(_of_product(layer), layer.matrix.outputs)
    if isinstance(layer, Up):
        return _Ahead(_of_up(layer), layer.outputs * len(layer.taps))
    return None  # it leads back itself


def _of_product(layer: Product) -> Product:
    """Each input was in as many windows as there are hops in one, the last of them as its oldest."""
    outputs = layer.matrix.outputs
    lags = layer.matrix.weight.reshape(-1, layer.hop, outputs)[::-1]
    return Product(Matrix(lags.transpose(0, 2, 1).reshape(-1, layer.hop)), outputs, hop=outputs)


def _of_up(layer: Up) -> Down:
    """Each map went into the steps of its own frame, by the second half of the taps, and of the next, by the first."""
    old, new = np.split(layer.taps, 2, axis=1)  # [stride, multiplier, outputs]
    taps = np.concatenate([new, old]).transpose(1, 0, 2)
    return Down(np.ascontiguousarray(taps), Matrix(layer.matrix.weight.T), len(layer.taps))
