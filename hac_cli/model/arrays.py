"""What streams take: arrays of the right shape, type and range, or an error that says which these are."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.errors import InputError, UsageError

MAX_CHANNELS = 8
LOUDEST = 100.0  # times full level, as for recordings


def check_channels(channels: int) -> None:
    """Raises UsageError for more than HAC codes: mostly an array whose axes are the other way round."""
    if not 1 <= as_integer(channels, "channels") <= MAX_CHANNELS:
        raise UsageError(f"there are 1 to {MAX_CHANNELS} channels, not {channels}; the layout is [channels, samples]")


def as_integer(value: object, name: str) -> int:
    """Raises UsageError for what is no integer."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"{name} is an integer, not {value!r}") from None


def check_one_or_more(number: int, name: str) -> None:
    """Raises UsageError for less than one."""
    if as_integer(number, name) < 1:
        raise UsageError(f"{name} must be 1 or more, not {number}")


def check_open(ended: bool) -> None:
    """Raises UsageError for a stream that was flushed: what it remembers is of another recording."""
    if ended:
        raise UsageError("the stream ended with flush(); make another one for another recording")


def checked_audio(audio: NDArray[Any], channels: int) -> NDArray[np.float32]:
    """Audio as it is coded. Raises UsageError for another shape or integers, InputError for NaN or infinite samples."""
    audio = np.asarray(audio)
    if audio.ndim != 2 or len(audio) != channels:
        raise UsageError(f"audio must have the shape [channels, samples], here [{channels}, n], not {audio.shape}")
    if audio.dtype.kind != "f":
        raise UsageError(f"audio must be floats from -1 to 1, not {audio.dtype}; divide 16-bit integers by 32768, or "
                         "read them with soundfile, whose arrays are floats")  # fmt: skip
    if audio.dtype != np.float32:
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, which is refused
            audio = audio.astype(np.float32)
    peak = float(np.abs(audio).max(initial=0))  # NaN where any sample is
    if not math.isfinite(peak):
        raise InputError("the audio holds samples that are not finite numbers")
    return audio


def recorded_audio(audio: NDArray[Any], channels: int) -> NDArray[np.float32]:
    """As ``checked_audio``, of audio that nothing was done to. Raises InputError as well for what is so loud that it
    must be integers written as floats."""
    audio = checked_audio(audio, channels)
    peak = float(np.abs(audio).max(initial=0))
    if peak >= LOUDEST:
        raise InputError(f"the audio holds a sample of {peak:.0f}, where 1 is full level; divide 16-bit integers by "
                         "32768")  # fmt: skip
    return audio


def checked_tokens(tokens: NDArray[Any], channels: int, bits: int) -> NDArray[np.int32]:
    """Tokens of so many bits, as they are decoded. Raises UsageError for another shape, type or range."""
    tokens = np.asarray(tokens)
    if tokens.ndim != 3 or tokens.shape[::2] != (channels, 1) or not np.issubdtype(tokens.dtype, np.integer):
        raise UsageError(f"tokens must be integers of the shape [channels, frames, 1], here [{channels}, n, 1], "
                         f"not {tokens.dtype} of the shape {tokens.shape}")  # fmt: skip
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < 1 << bits:
        raise UsageError(f"tokens of this model are from 0 to {(1 << bits) - 1}")
    return tokens.astype(np.int32, copy=False)
