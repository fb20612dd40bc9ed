"""Gains: by how much each frame was made louder and brighter before it was coded. See ``format_spec.md``, "Gains"."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hac_cli.container.header import MAX_PAYLOAD, Header
from hac_cli.container.registry import MOST_BANDWIDTH, MOST_TINT, TINT_TERMS
from hac_cli.errors import CorruptError, UsageError

Gains = NDArray[np.int8]
"""In dB, ``[channels, frames]``; with a tint ``[channels * 5, frames]``, behind each channel's gain its terms; with a
bandwidth as well ``[channels * 6, frames]``."""

MOST_CHANGES = 255
_U16 = struct.Struct("<H")


def sizes(rows: int) -> range:
    """How many bytes the gains of a block may take."""
    step = _U16.size + rows
    return range(1 + rows, 2 + rows + MOST_CHANGES * step, step)


def check_room(header: Header) -> None:
    """Raises UsageError where a block may be too large with its gains."""
    size = header.raw_size(header.frames_per_block) + sizes(header.gain_rows)[-1]
    if size > MAX_PAYLOAD:
        raise UsageError(f"a block of {header.frames_per_block} frames of {header.channels} channels takes up to "
                         f"{size} bytes; {MAX_PAYLOAD} is the most, use a shorter one")  # fmt: skip


def _changes(gains: Gains) -> NDArray[np.intp]:
    """The frames, but for the first, that have others than the one before."""
    return np.flatnonzero((gains[:, 1:] != gains[:, :-1]).any(0)) + 1


def within_room(gains: Gains) -> Gains:
    """Gains with no more changes than a block can tell, which it nearly always can: of more, the small ones are left
    out, and a few frames come back a little too loud or too soft."""
    kept, tolerance = gains, 0
    while kept.shape[1] > MOST_CHANGES and len(_changes(kept)) > MOST_CHANGES:
        kept, tolerance = gains.copy(), tolerance + 1
        for first, behind in pairwise([*_changes(gains), gains.shape[1]]):
            before = kept[:, first - 1]
            if np.abs(gains[:, first].astype(int) - before).max() <= tolerance:
                kept[:, first:behind] = before[:, None]
    return kept


def pack_gains(gains: Gains) -> bytes:
    """The first frame's gains, and those of frames that have others than the one before: ``MOST_CHANGES`` at most."""
    changes = _changes(gains)
    assert len(changes) <= MOST_CHANGES
    later = (_U16.pack(frame) + gains[:, frame].tobytes() for frame in changes)
    return bytes([len(changes)]) + gains[:, 0].tobytes() + b"".join(later)


def split_gains(payload: bytes, header: Header, frames: int) -> tuple[Gains, bytes]:
    """Gains of so many frames, and what comes behind them in a payload. Raises CorruptError."""
    rows = header.gain_rows
    size = sizes(rows)[payload[0]]
    if len(payload) < size:
        raise CorruptError("it ends in its gains")
    gains = np.empty((rows, frames), np.int8)
    gains[:] = np.frombuffer(payload, np.int8, rows, 1)[:, None]
    last = 0
    for at in range(1 + rows, size, _U16.size + rows):
        first = _U16.unpack_from(payload, at)[0]
        if not last < first < frames:
            raise CorruptError("a gain is of a frame out of its limits")
        gains[:, first:] = np.frombuffer(payload, np.int8, rows, at + _U16.size)[:, None]
        last = first
    _check(gains, header.channels)
    return gains, payload[size:]


def _check(gains: Gains, channels: int) -> None:
    numbers = gains.reshape(channels, len(gains) // channels, gains.shape[1])
    tint, bandwidths = numbers[:, 1 : 1 + TINT_TERMS], numbers[:, 1 + TINT_TERMS :]
    if tint.size and not -MOST_TINT <= tint.min() <= tint.max() <= MOST_TINT:
        raise CorruptError("a tint is out of its limits")
    if bandwidths.size and not 0 <= bandwidths.min() <= bandwidths.max() <= MOST_BANDWIDTH:
        raise CorruptError("a bandwidth is out of its limits")


def gains_text(gains: Gains) -> str:
    """From which frame on they are what: ``0:12,9 480:15,9``; empty where all are 0."""
    changes = np.flatnonzero((np.diff(gains.astype(np.int16), axis=1, prepend=0) != 0).any(0))
    return " ".join(f"{frame}:{','.join(map(str, gains[:, frame]))}" for frame in changes)


def gains_of_text(text: str, channels: int, frames: int) -> Gains:
    """Undoes ``gains_text``, but that gains of 0 have no tint and no bandwidth. Raises CorruptError."""
    last = -1
    try:
        rows = text.split()[0].count(",") + 1 if text.split() else channels
        if rows not in (channels, channels * (1 + TINT_TERMS), channels * (2 + TINT_TERMS)):
            raise ValueError
        gains = np.zeros((rows, frames), np.int8)
        for change in text.split():
            first, values = change.split(":")
            if not last < int(first) < frames:
                raise ValueError
            last = int(first)
            gains[:, last:] = np.array([*map(int, values.split(","))], np.int8).reshape(rows, 1)
    except (AttributeError, ValueError, OverflowError):
        raise CorruptError(f"its gains can't be read: {text!r:.40}") from None
    _check(gains, channels)
    return gains
