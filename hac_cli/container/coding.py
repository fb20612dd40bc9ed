"""Payload coding 1: the bits of a block's tokens through the arithmetic coder, each foretold by the predictor.

A block starts afresh, so that it can be decoded by itself. Bits go in payload order: frame by frame, in a frame channel
by channel, in a channel token by token, in a token from bit 0 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.container import arithmetic
from hac_cli.container.header import Header
from hac_cli.container.packing import Tokens
from hac_cli.container.predictor import PROBABILITIES, ZERO_LOGIT, Predictor, Wholes, probability

_PROBABILITIES: list[int] = PROBABILITIES.tolist()


def pack_coded(tokens: NDArray[Any], header: Header, predictor: Predictor) -> bytes:
    """Code tokens ``[channels, frames, tokens_per_frame]``."""
    channels, frames, _ = tokens.shape
    bits = (tokens[..., None].astype(np.int64) >> np.arange(header.bits_per_token)) & 1
    bits = bits.reshape(channels, frames, predictor.bits)
    probabilities = np.stack([predictor.predict(2 * channel - 1) for channel in bits])
    in_order = (array.transpose(1, 0, 2).reshape(-1).tolist() for array in (bits, probabilities))
    return arithmetic.encode(*in_order)


def unpack_coded(payloads: Sequence[bytes], frames: int, header: Header, predictor: Predictor) -> list[Tokens | None]:
    """Undo :func:`pack_coded` for payloads of ``frames`` frames each: 32 together take as long as ten.

    None where a payload has more bytes than its tokens take.
    """
    coders = [arithmetic.Decoder(payload) for payload in payloads]
    signs = np.empty((frames, header.channels, len(coders), predictor.bits))
    before = np.zeros((header.channels, len(coders), predictor.look_back * predictor.bits))
    for frame in signs:
        for hidden, channel in zip(predictor.start(before), frame, strict=True):
            if len(coders) == 1:
                channel[0] = _decode_frame(coders[0], predictor, hidden[0])
            else:
                _decode_frames(coders, predictor, hidden, channel)
        before = np.concatenate([frame, before[..., : -predictor.bits]], 2)
    bits = (signs.transpose(2, 1, 0, 3) > 0).reshape(len(coders), header.channels, frames, header.tokens_per_frame, -1)
    tokens: Tokens = (bits << np.arange(header.bits_per_token)).sum(4, dtype=np.int32)
    return [block if coder.at_end else None for block, coder in zip(tokens, coders, strict=True)]


def _decode_frame(coder: arithmetic.Decoder, predictor: Predictor, hidden: Wholes) -> list[int]:
    """The signs of one channel's bits of a frame; ``hidden`` is used up. Every tenth of a microsecond counts."""
    signs = []
    last, none = len(_PROBABILITIES) - 1, np.zeros_like(hidden)
    for out, bias, present in predictor.rows:
        position = int(np.maximum(hidden, none).dot(out)) + bias + ZERO_LOGIT
        if coder.bit(_PROBABILITIES[0 if position < 0 else last if position > last else position]):
            signs.append(1)
            np.add(hidden, present, out=hidden)
        else:
            signs.append(-1)
            np.subtract(hidden, present, out=hidden)
    return signs


def _decode_frames(coders: Sequence[arithmetic.Decoder], predictor: Predictor, hidden: Wholes, signs: Wholes) -> None:
    """The same for one frame of several blocks, ``hidden`` ``[blocks, H]``, into ``signs`` ``[blocks, B]``."""
    none, active, step = np.zeros_like(hidden), np.empty_like(hidden), np.empty_like(hidden)
    for bit, (out, bias, present) in enumerate(predictor.rows):
        np.maximum(hidden, none, out=active)
        chances = probability(active.dot(out) + bias).tolist()
        signs[:, bit] = [1 if coder.bit(chance) else -1 for coder, chance in zip(coders, chances, strict=True)]
        np.multiply(signs[:, bit, None], present, out=step)
        np.add(hidden, step, out=hidden)
