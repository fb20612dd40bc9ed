"""Recursive filters: Butterworth's of fourth order, as two sections of second order one after the other."""

from __future__ import annotations

import ctypes
import math

import numpy as np
from numpy.typing import NDArray

from hac_cli.compiled import is_there, library, pointer

Doubles = NDArray[np.float64]
Sections = Doubles
"""``[sections, 5]``: b0, b1, b2, a1, a2 of each."""


def high_pass(cutoff: float) -> Sections:
    """3 dB down at ``cutoff``, in cycles a sample."""
    return _butterworth(_warped(cutoff), np.array([1.0, -2.0, 1.0]))


def low_pass(cutoff: float) -> Sections:
    """3 dB down at ``cutoff``, in cycles a sample."""
    warped = _warped(cutoff)
    return _butterworth(warped, warped**2 * np.array([1.0, 2.0, 1.0]))


def _warped(cutoff: float) -> float:
    return math.tan(math.pi * cutoff)


def _butterworth(warped: float, numerator: Doubles) -> Sections:
    """By bilinear transform."""
    sections = []
    for angle in (1, 3):
        damped = 2 * math.cos(angle * math.pi / 8) * warped
        factors = np.array([*numerator, 2 * (warped**2 - 1), 1 - damped + warped**2])
        sections.append(factors / (1 + damped + warped**2))
    return np.array(sections)


def _plain_run(sections: Sections, states: Doubles, x: Doubles) -> None:
    for factors, state in zip(sections, states, strict=True):
        b0, b1, b2, a1, a2 = factors.tolist()
        first, second = state.tolist()
        out = []
        for value in x.tolist():
            out.append(b0 * value + first)
            first = b1 * value - a1 * out[-1] + second
            second = b2 * value - a2 * out[-1]
        x[:], state[:] = out, (first, second)


def _compiled_run(sections: Sections, states: Doubles, x: Doubles) -> None:
    sizes = ctypes.c_ssize_t(len(sections)), ctypes.c_ssize_t(len(x))
    library().hac_filter(pointer(sections), pointer(states), pointer(x), *sizes)


run = _compiled_run if is_there() else _plain_run
"""``x`` through all sections, whose states ``[sections, 2]`` go on, in place."""
