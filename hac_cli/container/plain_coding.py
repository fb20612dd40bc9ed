"""Signs to payloads and back, in Python and numpy. ``compiled_coding`` has the same in C.

Signs are 1 and -1, int8, ``[frames, channels, bits]``: in payload order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hac_cli.container import arithmetic
from hac_cli.container.predictor import PROBABILITIES, ZERO_LOGIT, Predictor, Wholes, probability

Signs = NDArray[np.int8]

_PROBABILITIES: list[int] = PROBABILITIES.tolist()


def encode(signs: Signs, predictor: Predictor) -> bytes:
    """Payload of one block."""
    probabilities = np.stack([predictor.predict(channel.astype(np.int64)) for channel in signs.transpose(1, 0, 2)], 1)
    return arithmetic.encode((signs > 0).ravel().tolist(), probabilities.ravel().tolist())


def decode(payloads: Sequence[bytes], frames: int, channels: int, predictor: Predictor) -> list[Signs | None]:
    """Signs of each block of ``frames`` frames, None where a payload has more bytes than they take. 32 together take
    as long as ten."""
    coders = [arithmetic.Decoder(payload) for payload in payloads]
    signs = np.empty((frames, channels, len(coders), predictor.bits))
    before = np.zeros((channels, len(coders), predictor.look_back * predictor.bits))
    for frame in signs:
        for hidden, channel in zip(predictor.start(before), frame, strict=True):
            if len(coders) == 1:
                channel[0] = _decode_frame(coders[0], predictor, hidden[0])
            else:
                _decode_frames(coders, predictor, hidden, channel)
        before = np.concatenate([frame, before[..., : -predictor.bits]], 2)
    blocks = signs.astype(np.int8).transpose(2, 0, 1, 3)
    return [block if coder.at_end else None for block, coder in zip(blocks, coders, strict=True)]


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
