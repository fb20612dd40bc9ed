"""What a ``Chain`` of ``numpy_layers`` computes, by ``compiled/network.h``: in half to two thirds of the
time, calls of 40 ms in a third.

Importing it raises ImportError where the package was installed without a C compiler. Arrays are float32, with the
channels side by side.
"""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hac_cli.compiled import library, pointer
from hac_cli.model.numpy_layers import Array, Block, Down, Layer, Matrix, Noise, Product, Snake, Up, fresh

_LIBRARY, _Size, _Address = library(), ctypes.c_ssize_t, ctypes.c_void_p
PANEL = ctypes.c_int.in_dll(_LIBRARY, "hac_panel").value
STRETCH, MOST = (ctypes.c_int.in_dll(_LIBRARY, name).value for name in ("hac_stretch", "hac_most"))
KINDS = (Product, Snake, Block, Down, Up, Noise)  # in the order of network.h
FLOATS, HALVES, INTEGERS = range(3)  # as in products.h


class _Matrix(ctypes.Structure):
    _fields_ = (
        *((name, _Address) for name in ("panels", "bias", "scale")),
        *((name, _Size) for name in ("inputs", "outputs", "weights")),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, _Size) for name in ("kind", "past", "width", "hop", "kernel", "dilation", "multiplier")),
        ("periods", _Size * 2),
        ("first", _Matrix),
        ("second", _Matrix),
        *((name, _Address) for name in ("taps", "bias", "alpha", "inverse", "gain", "values", "signs")),
    )


_LIBRARY.hac_outcome.argtypes = ctypes.POINTER(_Layer), _Size, _Size
_LIBRARY.hac_outcome.restype = _Size


class _WayBack(ctypes.Structure):
    _fields_ = (("narrow", _Matrix), ("wide", _Matrix), ("taps", _Address))


class Code(NamedTuple):
    """The functions for a kind of processor."""

    run: Any
    back: Any
    slope_back: Any


def _code(kind: str) -> Code:
    code = Code(*(_LIBRARY[name + kind] for name in ("hac_run", "hac_back", "hac_slope_back")))
    layers = ctypes.POINTER(_Layer)
    code.run.argtypes = layers, _Size, _Address, _Address, _Size, _Address
    code.back.argtypes = layers, ctypes.POINTER(_WayBack), _Address, _Address, _Size, _Address
    code.slope_back.argtypes = layers, _Address, _Address, _Size, _Address
    code.slope_back.restype = None
    return code


CODES = [_code("")]
"""What this processor can do, the fastest last. Those with AVX do the same, to the bit."""
if _LIBRARY.hac_has_avx2():
    CODES.append(_code("_avx2"))
if _LIBRARY.hac_has_avx512():
    CODES.append(_code("_avx512"))


class Chain:
    """Layers one after the other, in a single call; its arrays are laid out anew, side by side. With ``integers``
    matrix products may be in integers of 16 bits, which is faster, and only as exact as audio has to be. Who is to lead
    ``back`` has to know from the beginning."""

    def __init__(
        self, layers: Sequence[Layer], integers: bool = False, code: Code = CODES[-1], back: bool = False
    ) -> None:
        self._layers, self._shelf, self._code = layers, _Shelf(), code
        self._integers = integers and code is not CODES[0]
        self._compiled = (_Layer * len(layers))(*map(self._layer, layers))
        self._ways_back = [self._way_back(layer) for layer in layers if back and isinstance(layer, Block)]

    def __getitem__(self, part: slice) -> Chain:
        """Some of the layers, from the same arrays."""
        chain = copy.copy(self)
        chain._layers, chain._ways_back = self._layers[part], []
        chain._compiled = (_Layer * len(chain._layers))(*self._compiled[part])
        return chain

    def fresh(self, frame: int = 0) -> Array:
        """The state of a stream that begins at ``frame``: those of the layers, one behind the other."""
        return np.concatenate([fresh(layer, frame).ravel() for layer in self._layers])

    def __call__(self, x: Array, state: Array) -> Array:
        """``[steps, inputs]`` to ``[steps, outputs]``; takes the state on. Raises MemoryError."""
        x = np.ascontiguousarray(x, np.float32)
        count = len(self._layers)
        y = np.empty(_LIBRARY.hac_outcome(self._compiled, count, x.size), np.float32)
        if self._code.run(self._compiled, count, pointer(state), pointer(x), x.size, pointer(y)):
            raise MemoryError(f"no room for a call of {len(x)} steps")
        return y.reshape(-1, self._layers[-1].outputs)

    def back(self, gradient: Array, state: Array, x: Array) -> Array:
        """Of one Block, Snake or Noise: the gradient of ``x``, which it met in that state, from that of its output.
        Raises MemoryError."""
        (layer,) = self._layers
        if isinstance(layer, Noise):  # little work
            return layer.back(gradient, state[:, None], x)
        gradient, y = np.ascontiguousarray(gradient, np.float32), np.empty_like(x)
        if isinstance(layer, Snake):
            self._code.slope_back(self._compiled, pointer(x), pointer(gradient), x.size, pointer(y))
            return y
        seen = np.concatenate([state, x.ravel()])
        if self._code.back(self._compiled, self._ways_back[0], pointer(seen), pointer(gradient), x.size, pointer(y)):
            raise MemoryError(f"no room for a call of {len(x)} steps")
        return y

    def _way_back(self, layer: Block) -> _WayBack:
        narrow, wide = Matrix((layer.narrow.weight * layer.gain).T), Matrix(layer.wide.weight.T)
        return _WayBack(self._matrix(narrow), self._matrix(wide), self._address(layer.taps[::-1]))

    def _layer(self, layer: Layer) -> _Layer:
        made: dict[str, Any] = {"kind": KINDS.index(type(layer)), "width": layer.width}  # type: ignore[arg-type]
        made["past"] = layer.past * layer.width
        if isinstance(layer, Product):
            made |= {"hop": layer.hop, "first": self._matrix(layer.matrix)}
        elif isinstance(layer, Snake):
            made |= self._snake(layer)
        elif isinstance(layer, Block):
            made |= {"kernel": len(layer.taps), "dilation": layer.dilation, "taps": self._address(layer.taps)}
            made |= {"first": self._matrix(layer.wide), "second": self._matrix(layer.narrow)}
            made |= self._snake(layer.snake) | {"gain": self._address(_filled(layer.gain))}
        elif isinstance(layer, Down):
            made |= {"hop": layer.stride, "first": self._matrix(layer.matrix), "taps": self._address(layer.taps)}
            made |= {"multiplier": len(layer.taps), "kernel": layer.taps.shape[1]}
        elif isinstance(layer, Up):
            made |= {"hop": len(layer.taps), "first": self._matrix(layer.matrix), "taps": self._address(layer.taps)}
            made |= {"kernel": layer.taps.shape[1], "multiplier": layer.taps.shape[1] // 2}
            made |= {"bias": self._address(layer.bias)}
        elif isinstance(layer, Noise):
            made |= {"width": layer.outputs, "first": self._matrix(layer.amount)}
            made |= {"values": self._address(layer.values), "signs": self._address(layer.signs)}
            made |= {"periods": (_Size * 2)(len(layer.values), len(layer.signs))}
        return _Layer(**made)

    def _snake(self, snake: Snake) -> dict[str, int]:
        inverse = np.reciprocal(snake.alpha)
        return {"alpha": self._address(_filled(snake.alpha)), "inverse": self._address(_filled(inverse))}

    def _matrix(self, matrix: Matrix) -> _Matrix:
        """In panels of columns; two weights to a word if they may be integers, or are halves of floats."""
        weights, scale = FLOATS, np.zeros(0, np.float32)
        columns = _filled(np.ascontiguousarray(matrix.weight.T))  # as they come: none is copied that needn't be
        words = columns.view(np.uint32).reshape(-1, PANEL, matrix.inputs)
        if self._integers and matrix.inputs % 2 == 0:
            weights, (whole, scale) = INTEGERS, _integers(columns)
            words = whole.view(np.uint32).reshape(-1, PANEL, matrix.inputs // 2)
        elif matrix.halves:
            weights = HALVES
            words = words[:, : PANEL // 2] >> np.uint32(16) | words[:, PANEL // 2 :]
        panels, bias = self._address(words.transpose(0, 2, 1)), self._address(_filled(matrix.bias))
        return _Matrix(panels, bias, self._address(scale), *matrix.weight.shape, weights)

    def _address(self, array: np.ndarray) -> int:
        return self._shelf.address(array)


def _integers(columns: Array) -> tuple[NDArray[np.int16], Array]:
    """Columns ``[outputs, inputs]`` as integers, and what each has to be multiplied with. It is a power of two, so that
    large weights, of 8 bits, stay what they are, and no sum of a stretch's products with MOST has more than 32 bits."""
    sizes = np.abs(columns)
    sums = np.add.reduceat(sizes, range(0, columns.shape[1], STRETCH), axis=1).max(1)
    room = np.minimum((2**31 // MOST - STRETCH) / np.maximum(sums, 1e-30), 32767 / np.maximum(sizes.max(1), 1e-30))
    factors = np.ldexp(np.float32(1), np.floor(np.log2(room)).astype(np.int32))
    scaled = columns * factors[:, None]
    return np.rint(scaled, out=scaled).astype(np.int16), np.reciprocal(factors)


class _Shelf:
    """Arrays side by side in a few large pieces of memory: numpy asks the system to make those of large pages, which
    are found at once where small ones, forgotten since the last call, take half as long as it takes to read them."""

    PIECE, LINE = 1 << 23, 64  # bytes; what isn't used of a piece takes no memory

    def __init__(self) -> None:
        self._pieces: list[np.ndarray] = []
        self._used = self.PIECE

    def address(self, array: np.ndarray) -> int:
        """Of a copy of an array's numbers, which stays where it is as long as the shelf."""
        if self._used + array.nbytes > self.PIECE:
            self._pieces.append(np.empty(max(self.PIECE, array.nbytes + self.LINE), np.uint8))
            self._used = -self._pieces[-1].ctypes.data % self.LINE
        place = self._pieces[-1][self._used : self._used + array.nbytes]
        place.view(array.dtype).reshape(array.shape)[...] = array
        self._used += -(-array.nbytes // self.LINE) * self.LINE
        return place.ctypes.data


def _filled(values: Array) -> Array:
    """To whole panels, with zeros behind."""
    missing = -len(values) % PANEL
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), np.float32)]) if missing else values
