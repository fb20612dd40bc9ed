"""A spectrogram as a small PNG picture, without a plotting library."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from hac_cli.eval.metrics import Signal, magnitudes

WIDTH, HEIGHT = 640, 160
_WINDOW = 2 * HEIGHT
_TOP, _RANGE = -20.0, 70.0  # dBFS of the brightest colour, and how many dB below it are black
# Dark to bright with lightness rising evenly, in the manner of matplotlib's magma.
_ANCHORS = np.array([(0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122), (229, 80, 100),
                     (251, 135, 97), (254, 194, 135), (252, 253, 191)])  # fmt: skip


def png(*signals: Signal) -> bytes:
    """Signals ``[samples]`` at 24 kHz as pictures of ``WIDTH`` x ``HEIGHT``, one above the other: time to the right,
    0 to 12 kHz upwards."""
    return _encode(np.concatenate([_pixels(signal) for signal in signals]))


def _pixels(signal: Signal) -> np.ndarray:
    """Palette indices ``[HEIGHT, WIDTH]``."""
    padded = np.pad(signal, (0, max(0, _WINDOW - len(signal))))
    hop = max(1, (len(padded) - _WINDOW) // WIDTH)
    steps = magnitudes(padded, _WINDOW, hop) * (4 / _WINDOW)  # a sine of full scale has 1
    columns = np.linspace(0, len(steps) - 1, WIDTH).round().astype(int)
    decibels = 20 * np.log10(np.maximum(steps[columns, :HEIGHT], 1e-9)).T[::-1]
    return (np.clip(1 + (decibels - _TOP) / _RANGE, 0, 1) * 255).astype(np.uint8)


def _encode(pixels: np.ndarray) -> bytes:
    """PNG (RFC 2083) of palette indices ``[height, width]``."""
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, palette
    rows = np.pad(pixels, ((0, 0), (1, 0))).tobytes()  # each begins with 0: no filter
    chunks = ((b"IHDR", header), (b"PLTE", _palette()), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _palette() -> bytes:
    places = np.linspace(0, len(_ANCHORS) - 1, 256)
    colours = [np.interp(places, range(len(_ANCHORS)), channel) for channel in _ANCHORS.T]
    return np.stack(colours, 1).round().astype(np.uint8).tobytes()
