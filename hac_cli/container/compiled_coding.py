"""What ``plain_coding`` does, by ``compiled/payload.c``, many times as fast.

Importing it raises ImportError where the package was installed without a C compiler.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.compiled import library, pointer
from hac_cli.container.plain_coding import Signs
from hac_cli.container.predictor import PROBABILITIES, ZERO_LOGIT, Predictor

_LIBRARY, _Size, _Address = library(), ctypes.c_ssize_t, ctypes.c_void_p
UNITS = ctypes.c_int.in_dll(_LIBRARY, "hac_units").value


class _Predictor(ctypes.Structure):
    """``predictor`` in ``payload.c``."""

    _fields_ = (
        *((name, _Size) for name in ("bits", "look_back", "hidden")),
        *((name, _Address) for name in ("past", "present", "hidden_bias", "out", "out_bias", "chances")),
        *((name, _Size) for name in ("chance_count", "zero_logit")),
    )


_LIBRARY.hac_encode.argtypes = ctypes.POINTER(_Predictor), _Address, _Size, _Size, _Address, _Address
_LIBRARY.hac_encode.restype = _Size
_LIBRARY.hac_decode.argtypes = ctypes.POINTER(_Predictor), _Address, _Size, _Size, _Size, _Address, _Address


def encode(signs: Signs, predictor: Predictor) -> bytes:
    frames, channels, _ = signs.shape
    network = _network(predictor)
    signs = np.ascontiguousarray(signs)
    payload, sums = np.empty(2 * signs.size + 4, np.uint8), network.room()
    used = _LIBRARY.hac_encode(network.pointer, pointer(signs), frames, channels, pointer(sums), pointer(payload))
    return payload[:used].tobytes()


def decode(payloads: Sequence[bytes], frames: int, channels: int, predictor: Predictor) -> list[Signs | None]:
    network = _network(predictor)
    sums = network.room()
    blocks: list[Signs | None] = []
    for payload in payloads:
        signs = np.empty((frames, channels, predictor.bits), np.int8)
        at_end = _LIBRARY.hac_decode(
            network.pointer, payload, len(payload), frames, channels, pointer(sums), pointer(signs)
        )
        blocks.append(signs if at_end else None)
    return blocks


class _Network:
    """A predictor as the library wants it, with the arrays whose addresses it is given."""

    def __init__(self, predictor: Predictor) -> None:
        hidden = [_filled(array, np.float32) for array in (predictor.past.T, predictor.present, predictor.hidden_bias)]
        out = [_filled(predictor.out, np.float64), np.ascontiguousarray(predictor.out_bias, np.float64)]
        self._arrays = [*hidden, *out, PROBABILITIES]
        self._units = hidden[-1].size
        sizes = predictor.bits, predictor.look_back, self._units
        addresses = (array.ctypes.data for array in self._arrays)
        self.pointer = ctypes.pointer(_Predictor(*sizes, *addresses, len(PROBABILITIES), ZERO_LOGIT))

    def room(self) -> NDArray[np.float32]:
        """For the hidden sums."""
        return np.empty(self._units, np.float32)


def _filled(array: NDArray[Any], kind: type) -> NDArray[Any]:
    """``[..., hidden units]`` with more of them, of no weight, as many as the library does at once."""
    missing = -array.shape[-1] % UNITS
    return np.ascontiguousarray(np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)]), kind)


_network = functools.lru_cache(maxsize=8)(_Network)
