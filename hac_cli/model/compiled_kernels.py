"""What ``numpy_kernels`` computes, by ``compiled/network.c``: a third faster, small calls more than twice.

Importing it raises ImportError where the package was installed without a C compiler. Arrays are float32, with the
channels side by side.
"""

from __future__ import annotations

import ctypes

import numpy as np

from hac_cli.compiled import library
from hac_cli.model.numpy_kernels import Array

_LIBRARY, _Size, _Address = library(), ctypes.c_ssize_t, ctypes.c_void_p
PANEL, TILE = (ctypes.c_int.in_dll(_LIBRARY, name).value for name in ("hac_panel", "hac_tile"))


class _Matrix(ctypes.Structure):
    _fields_ = (("panels", _Address), ("bias", _Address), ("inputs", _Size), ("outputs", _Size))


_LIBRARY.hac_product.argtypes = _Address, _Size, _Size, ctypes.POINTER(_Matrix), _Address
_LIBRARY.hac_depthwise.argtypes = _Address, _Size, _Size, _Address, _Size, _Size, _Size, _Address, _Size
_LIBRARY.hac_snake.argtypes = _Address, _Size, _Size, _Address, _Address
_LIBRARY.hac_block.argtypes = (_Address, _Size, _Address, _Size, _Size, ctypes.POINTER(_Matrix),
                               ctypes.POINTER(_Matrix), _Address, _Address)  # fmt: skip


class Matrix:
    """``x @ weight + bias``, for ever the same weight ``[inputs, outputs]``; rows of x may overlap."""

    def __init__(self, weight: Array, bias: Array) -> None:
        self.inputs, self.outputs = weight.shape
        panels = -(-self.outputs // PANEL)
        columns = np.zeros((self.inputs, panels * PANEL), np.float32)
        columns[:, : self.outputs] = weight
        self._panels = np.ascontiguousarray(columns.reshape(self.inputs, panels, PANEL).transpose(1, 0, 2))
        self._bias = np.zeros(panels * PANEL, np.float32)
        self._bias[: self.outputs] = bias
        self.pointer = ctypes.pointer(_Matrix(_address(self._panels), _address(self._bias), *weight.shape))

    def __call__(self, x: Array) -> Array:
        y = np.empty((len(x), self.outputs), np.float32)
        _LIBRARY.hac_product(_address(x), x.strides[0] // x.itemsize, len(x), self.pointer, _address(y))
        return y


def depthwise(seen: Array, taps: Array, y: Array, stride: int = 1, dilation: int = 1) -> Array:
    kernel, channels = taps.shape
    _LIBRARY.hac_depthwise(_address(seen), len(y), channels, _address(taps), kernel, stride, dilation,
                           _address(y), y.strides[0] // y.itemsize)  # fmt: skip
    return y


def snake(x: Array, alpha: Array) -> Array:
    y = np.empty_like(x)
    _LIBRARY.hac_snake(_address(x), *x.shape, _address(alpha), _address(y))
    return y


def block(seen: Array, taps: Array, dilation: int, wide: Matrix, narrow: Matrix) -> Array:
    kernel, channels = taps.shape
    y = np.empty((len(seen) - (kernel - 1) * dilation, channels), np.float32)
    scratch = np.empty(TILE * (channels + wide.outputs), np.float32)
    _LIBRARY.hac_block(_address(seen), len(y), _address(taps), kernel, dilation, wide.pointer, narrow.pointer,
                       _address(scratch), _address(y))  # fmt: skip
    return y


def _address(array: Array) -> int:
    assert array.dtype == np.float32 and array.strides[-1] == array.itemsize
    return array.ctypes.data
