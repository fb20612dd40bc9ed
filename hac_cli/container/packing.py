"""Payload coding 0: tokens ``[channels, frames, tokens_per_frame]`` as they are, and their digest.

In the payload tokens stand frame by frame, in a frame channel by channel, in a channel token by token.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.errors import CorruptError

if TYPE_CHECKING:
    from hac_cli.container.header import Header

Tokens = NDArray[np.int32]


def payload_order(tokens: NDArray[Any]) -> NDArray[np.uint32]:
    """Flatten tokens ``[channels, frames, tokens_per_frame]`` to little-endian u32 in payload order."""
    flat: NDArray[np.uint32] = tokens.transpose(1, 0, 2).astype("<u4").reshape(-1)
    return flat


def payload_bits(tokens: NDArray[Any], header: Header) -> NDArray[np.uint8]:
    """Those of each token, ``[tokens, bits_per_token]`` in payload order, the least significant one first."""
    octets = payload_order(tokens).view(np.uint8).reshape(-1, 4)
    return np.unpackbits(octets, axis=1, count=header.bits_per_token, bitorder="little")


def pack_raw(tokens: NDArray[Any], header: Header) -> bytes:
    """Pack tokens at ``bits_per_token`` bits each, least significant bit first; zero bits fill the last byte."""
    return np.packbits(payload_bits(tokens, header), bitorder="little").tobytes()


def unpack_raw(payload: bytes, frames: int, header: Header) -> Tokens:
    """Undo :func:`pack_raw` for ``frames`` frames. CorruptError: wrong size, or padding bits that are not zero."""
    if len(payload) != header.raw_size(frames):
        raise CorruptError("the payload's size does not fit its number of frames")
    count = frames * header.frame_tokens
    bits = np.unpackbits(np.frombuffer(payload, np.uint8), bitorder="little")
    used = count * header.bits_per_token
    if bits[used:].any():
        raise CorruptError("padding bits are not zero")
    packed = np.packbits(bits[:used].reshape(count, header.bits_per_token), axis=1, bitorder="little")
    flat = np.zeros((count, 4), np.uint8)
    flat[:, : packed.shape[1]] = packed
    tokens = flat.view("<u4").reshape(frames, header.channels, header.tokens_per_frame)
    return np.ascontiguousarray(tokens.transpose(1, 0, 2), dtype=np.int32)


class TokenDigest:
    """BLAKE2b (RFC 7693) with an 8-byte result over all tokens of a file, each as u32 in payload order."""

    SIZE = 8

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=self.SIZE)

    def update(self, tokens: NDArray[Any]) -> None:
        self._hash.update(payload_order(tokens).tobytes())

    def digest(self) -> bytes:
        return self._hash.digest()
