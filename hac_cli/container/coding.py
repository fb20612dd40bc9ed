"""Payload coding 1: the bits of a block's tokens through the arithmetic coder, each foretold by the predictor.

A block starts afresh, so that it can be decoded by itself. Bits go in payload order: frame by frame, in a frame channel
by channel, in a channel token by token, in a token from bit 0 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.container.header import Header
from hac_cli.container.packing import Tokens, payload_bits
from hac_cli.container.predictor import Predictor

try:
    from hac_cli.container import compiled_coding as coding
except ImportError:
    from hac_cli.container import plain_coding as coding  # type: ignore[no-redef]


def pack_coded(tokens: NDArray[Any], header: Header, predictor: Predictor) -> bytes:
    """Code tokens ``[channels, frames, tokens_per_frame]``."""
    channels, frames, _ = tokens.shape
    bits = payload_bits(tokens, header).view(np.int8)
    return coding.encode((2 * bits - 1).reshape(frames, channels, predictor.bits), predictor)


def unpack_coded(payloads: Sequence[bytes], frames: int, header: Header, predictor: Predictor) -> list[Tokens | None]:
    """Undo :func:`pack_coded` for payloads of ``frames`` frames each.

    None where a payload has more bytes than its tokens take.
    """
    blocks = coding.decode(payloads, frames, header.channels, predictor)
    return [None if signs is None else _tokens(signs > 0, header) for signs in blocks]


def _tokens(bits: NDArray[np.bool_], header: Header) -> Tokens:
    """Bits ``[frames, channels, B]`` to tokens ``[channels, frames, tokens_per_frame]``."""
    frames, channels, _ = bits.shape
    in_tokens = bits.transpose(1, 0, 2).reshape(channels, frames, header.tokens_per_frame, header.bits_per_token)
    tokens: Tokens = (in_tokens << np.arange(header.bits_per_token)).sum(3, dtype=np.int32)
    return tokens
