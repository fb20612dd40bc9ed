"""Payload coding 1: the bits of a block's tokens through the arithmetic coder, each foretold by the predictor.

A block starts afresh, so that it can be decoded by itself. Bits go in payload order: frame by frame, in a frame channel
by channel, in a channel token by token, in a token from bit 0 on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.container import arithmetic
from hac_cli.container.header import Header
from hac_cli.container.packing import Tokens
from hac_cli.container.predictor import PROBABILITIES, Predictor, Wholes
from hac_cli.errors import CorruptError

_PROBABILITIES: list[int] = PROBABILITIES.tolist()
_ZERO_LOGIT = len(_PROBABILITIES) // 2


def pack_coded(tokens: NDArray[Any], header: Header, predictor: Predictor) -> bytes:
    """Code tokens ``[channels, frames, tokens_per_frame]``."""
    channels, frames, _ = tokens.shape
    bits = (tokens[..., None].astype(np.int64) >> np.arange(header.bits_per_token)) & 1
    bits = bits.reshape(channels, frames, predictor.bits)
    probabilities = np.stack([predictor.predict(2 * channel - 1) for channel in bits])
    in_order = (array.transpose(1, 0, 2).reshape(-1).tolist() for array in (bits, probabilities))
    return arithmetic.encode(*in_order)


def unpack_coded(payload: bytes, frames: int, header: Header, predictor: Predictor) -> Tokens:
    """Undo :func:`pack_coded` for ``frames`` frames. CorruptError: more bytes than those tokens take."""
    coder = arithmetic.Decoder(payload)
    signs = np.empty((frames, header.channels, predictor.bits))
    before = np.zeros((header.channels, predictor.look_back * predictor.bits))
    for frame in signs:
        for hidden, channel in zip(predictor.start(before), frame, strict=True):
            channel[:] = _decode_frame(coder, predictor, hidden)
        before = np.concatenate([frame, before[:, : -predictor.bits]], 1)
    if not coder.at_end:
        raise CorruptError("the payload is longer than its tokens")
    bits = (signs.transpose(1, 0, 2) > 0).reshape(header.channels, frames, header.tokens_per_frame, -1)
    tokens: Tokens = (bits << np.arange(header.bits_per_token)).sum(3, dtype=np.int32)
    return tokens


def _decode_frame(coder: arithmetic.Decoder, predictor: Predictor, hidden: Wholes) -> list[int]:
    """The signs of one channel's bits of a frame; ``hidden`` is used up. Every tenth of a microsecond counts."""
    signs = []
    last, none = len(_PROBABILITIES) - 1, np.zeros_like(hidden)
    for out, bias, present in predictor.rows:
        position = int(np.maximum(hidden, none).dot(out)) + bias + _ZERO_LOGIT
        if coder.bit(_PROBABILITIES[0 if position < 0 else last if position > last else position]):
            signs.append(1)
            np.add(hidden, present, out=hidden)
        else:
            signs.append(-1)
            np.subtract(hidden, present, out=hidden)
    return signs
