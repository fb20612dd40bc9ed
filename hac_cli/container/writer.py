"""Writing a ``.hac`` file to anything that takes bytes; nothing is ever sought or written again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.container.blocks import (
    END,
    MAX_BLOCKS,
    MOST_COMPACT,
    End,
    pack_block,
    pack_data,
    pack_header_copy,
    pack_tokens,
)
from hac_cli.container.gains import Gains, within_room
from hac_cli.container.header import Header, header_crc
from hac_cli.container.metadata import METADATA, pack_metadata
from hac_cli.container.packing import TokenDigest
from hac_cli.container.predictor import Predictor
from hac_cli.container.source import Writable
from hac_cli.container.summary import Summary
from hac_cli.errors import UsageError
from hac_cli.rate import CODEC_SAMPLE_RATE

COPY_SECONDS, LIVE_COPY_SECONDS = 64, 8
"""So often the header is written again, for those who find the first one damaged, or come later."""


class Writer:
    """Writes header, data blocks as they fill, copies of the header between them, and the end block, flushing the sink
    after each.

    Payload coding 1 needs the predictor whose digest the header holds. A file is whole only after :meth:`finish`;
    leave it out on an error, and readers see a truncated file.
    OSErrors of the sink pass through.
    """

    def __init__(self, sink: Writable, header: Header, predictor: Predictor | None = None) -> None:
        assert header.predictor_digest == (predictor.digest if predictor else None)
        assert predictor is None or predictor.bits == header.tokens_per_frame * header.bits_per_token
        self.header = header
        self.blocks = 0
        self.bytes_written = 0
        self.payload_bytes = 0
        self._sink = sink
        self._predictor = predictor
        shape = (header.channels, header.frames_per_block, header.tokens_per_frame)
        self._pending = np.empty(shape, np.int32)
        self._pending_gains = np.zeros((header.gain_rows, header.frames_per_block), np.int8)
        self._gain = np.zeros((header.gain_rows, 1), np.int8)  # of the last frame written
        self._pending_frames = 0
        self._digest = TokenDigest()
        self._open = True  # false once finished, or when the sink failed halfway through a block
        data = header.pack()
        self._header_bytes, self._header_crc = data, header_crc(data)
        copy_samples = CODEC_SAMPLE_RATE * (LIVE_COPY_SECONDS if header.compact else COPY_SECONDS)
        self._blocks_a_copy = max(1, copy_samples // (header.frames_per_block * header.hop_length))
        self._emit(data)

    def write_metadata(self, tags: Mapping[str, str]) -> None:
        """Keep the recording's tags, such as title and date, as far as they fit; before any tokens."""
        assert self._open and not self.blocks
        if payload := pack_metadata(tags):
            self._emit(pack_block(self._header_crc, 0, METADATA, payload))

    def write(self, tokens: NDArray[Any], gains: Gains | None = None) -> None:
        """Add tokens, integers ``[channels, frames, tokens_per_frame]``, any number of frames, and the gains of these
        frames ``[gain_rows, frames]``, which are otherwise 0 dB.

        Raises UsageError where shape, type or range do not fit the header; then nothing of them is written.
        """
        assert self._open
        self._check(tokens)
        if gains is None:
            gains = np.zeros((self.header.gain_rows, tokens.shape[1]), np.int8)
        assert gains.shape == (self.header.gain_rows, tokens.shape[1]) and gains.dtype == np.int8
        done, frames = 0, tokens.shape[1]
        while done < frames:
            count = min(frames - done, self.header.frames_per_block - self._pending_frames)
            stop = self._pending_frames + count
            self._pending[:, self._pending_frames : stop] = tokens[:, done : done + count]
            self._pending_gains[:, self._pending_frames : stop] = gains[:, done : done + count]
            self._pending_frames = stop
            done += count
            if stop == self.header.frames_per_block:
                self._emit_data()

    def finish(self, samples: int) -> Summary:
        """Write what is left and the end block; ``samples`` per channel at the original rate.

        Raises UsageError where the frames cannot hold that many samples. The sink stays open.
        """
        assert self._open
        frames = self.blocks * self.header.frames_per_block + self._pending_frames
        if not 0 <= samples <= self.header.max_samples(frames):
            raise UsageError(f"{frames} frames cannot hold {samples} samples at {self.header.sample_rate} Hz")
        last_frames = self._pending_frames or min(frames, self.header.frames_per_block)
        if self._pending_frames:
            self._emit_data()
        end = End(samples, self.blocks, last_frames, self._digest.digest())
        self._emit(pack_block(self._header_crc, self.blocks, END, end.pack()))
        self._open = False
        rate = self.header.sample_rate
        return Summary(rate, samples, frames, self.blocks, self.bytes_written, self.payload_bytes)

    def _check(self, tokens: NDArray[Any]) -> None:
        header = self.header
        channels, per_frame = header.channels, header.tokens_per_frame
        if tokens.ndim != 3 or tokens.shape[0] != channels or tokens.shape[2] != per_frame:
            raise UsageError(f"tokens must have the shape [{channels}, frames, {per_frame}], not {tokens.shape}")
        if tokens.dtype.kind not in "iu":
            raise UsageError(f"tokens must be integers, not {tokens.dtype}")
        if (tokens >> header.bits_per_token).any():  # which is -1 of those below 0
            raise UsageError(f"tokens must fit {header.bits_per_token} bits")

    def _emit_data(self) -> None:
        if self.blocks == MAX_BLOCKS - 1:
            raise UsageError("the file is full: it has as many blocks as the format can count")
        tokens = self._pending[:, : self._pending_frames]
        gains = within_room(self._pending_gains[:, : self._pending_frames])
        self._digest.update(tokens)
        known = bool((gains == self._gain).all())
        if self.blocks and self.blocks % self._blocks_a_copy == 0:
            self._emit(pack_header_copy(self._header_bytes, self.blocks))
            known = False  # to whoever begins here, or has lost the block before
        tag, payload = pack_tokens(tokens, self.header, self._predictor)
        whole = self._pending_frames == self.header.frames_per_block
        compact = self.header.compact and whole and known and len(payload) <= MOST_COMPACT
        if not compact:
            tag, payload = pack_data(tag, payload, gains, self.header)
        self._emit(pack_block(self._header_crc, self.blocks, tag, payload, compact))
        self.payload_bytes += len(payload)
        self.blocks += 1
        self._pending_frames, self._gain = 0, gains[:, -1:].copy()

    def _emit(self, data: bytes) -> None:
        self._open = False
        rest = memoryview(data)
        while rest:  # an unbuffered pipe takes what it has room for
            rest = rest[self._sink.write(rest) :]
        self._sink.flush()
        self._open = True
        self.bytes_written += len(data)
