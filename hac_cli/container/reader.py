"""Reading a ``.hac`` file block by block from anything that gives bytes, checking everything."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from hac_cli.container.block_source import BlockSource
from hac_cli.container.blocks import CODED, DATA, END, GAINS, HEADER_COPY, SHORT, BlockHeader, End, split_data
from hac_cli.container.faults import Missing, describe
from hac_cli.container.header import MAGIC, Header
from hac_cli.container.metadata import METADATA, unpack_metadata
from hac_cli.container.packing import TokenDigest
from hac_cli.container.pieces import Block, Damage
from hac_cli.container.predictor import Predictor
from hac_cli.container.registry import RAW
from hac_cli.container.source import Readable
from hac_cli.container.summary import Summary
from hac_cli.container.unpacker import Unpacker
from hac_cli.errors import CorruptError


class _Found(NamedTuple):
    """A good block at the front of the source; content None: a skippable block."""

    number: int
    block: BlockHeader
    content: Block | End | None


class Reader:
    """Iterate over the data blocks of a ``.hac`` file; ``header`` is there at once, ``summary`` at the end.

    Strict, without ``on_damage``: CorruptError at the first thing that is wrong, with block and time; blocks that came
    before it were good, but only reaching the end proves that none of another file is among them: where something
    follows it, that is an error as well, but ``summary`` is there.

    Tolerant, with it: reading goes on at the next good block, and each gap is handed to ``on_damage`` before the
    block behind it is given; nothing raises once the header, or a copy of it, is read. ``summary`` stays None without
    an end block. With ``live``, a stream without its header is read from the first copy on, since somebody listens in,
    and ends where another one begins.

    ``predictor`` finds the one that the header names, which tokens of payload coding 1 need; without it, or where it
    gives None, such blocks are checked, but for their tokens: quick, and enough to know what a file holds.

    Only ``read(n)`` of the source is used, and never for bytes beyond the current block, but for a source that is
    ``seekable``, which keeps nobody waiting. What is kept stays under about 64 KiB and what decoding a block takes, or
    several for such a source (see ``unpacker``); under a MiB where a copy of the header is looked for. The constructor
    raises CorruptError where no header that can be read here stands. OSErrors pass through.
    """

    def __init__(
        self,
        source: Readable,
        on_damage: Callable[[Damage], None] | None = None,
        predictor: Callable[[Header], Predictor | None] | None = None,
        live: bool = False,
    ) -> None:
        self._source = BlockSource(source, tolerant=on_damage is not None)
        self.header = self._source.header
        coded = self.header.predictor_digest is not None
        self._predictor = predictor(self.header) if predictor and coded else None
        self.gives_tokens = not coded or self._predictor is not None
        if self._predictor and self._predictor.bits != self.header.tokens_per_frame * self.header.bits_per_token:
            raise CorruptError("the header is invalid: its predictor is for other tokens")
        self.summary: Summary | None = None
        self.payload_bytes = 0
        self.metadata: dict[str, str] = {}
        self._on_damage, self._live = on_damage, live
        self._unpacker = Unpacker(self.header, self._predictor, self._source.never_waits)
        self._next = 0  # number of the data block to come
        self._position = 0  # frames that were given or reported
        self._gain = np.zeros((self.header.gain_rows, 1), np.int8)  # of the last frame that was read
        self._whole = True  # no block was passed over, nothing was reported
        self._ended = False
        self._digest = TokenDigest()
        self._reason = ""  # why the block to come was not found in its place
        if copy := self._source.copy:
            self._reason = "the header is damaged or missing; a copy of it was read"
            if live:
                self._source.skip(copy.offset)
                self._pass_to(copy.number)
                start = self._position * self.header.frame_seconds
                self._reason = f"its beginning was missed: heard from {start:.1f} s on"
            else:
                self._source.skip_to_block(self._next)

    @property
    def frames_passed(self) -> int:
        """Frames that were given, reported as lost, or skipped."""
        return self._position

    @property
    def digest_checked(self) -> bool:
        """Whether all tokens were read, up to the end block, and are those that were written."""
        return self.gives_tokens and self._whole and self.summary is not None

    @property
    def bytes_read(self) -> int:
        return self._source.consumed

    def __iter__(self) -> Iterator[Block]:
        while not self._ended:
            try:
                found = self._parse()
                if self._on_damage is None and found.number != self._next:
                    raise Missing("missing")
            except CorruptError as error:
                self._reason = self._reason or error.message
                if self._on_damage is None:
                    self._ended = True
                    raise CorruptError(f"{self._describe(error)}; hac decompress --recover gets over it") from None
                if self._live and self._source.begins_anew():
                    self._end_early("the sender began anew; run this again to hear more")
                elif not self._source.skip_to_sync():
                    self._end_early("no end block")
                continue
            self._source.skip(found.block.block_size)
            if found.number > self._next:
                self._reason = self._reason or "missing"
                if found.block.tag == HEADER_COPY:  # which tells the whole number
                    self._close_gap(found)
            if found.content is None:
                continue  # the next data or end block tells how much is missing
            self._close_gap(found)
            if isinstance(found.content, End):
                self._finish(found.content)
            else:
                self.payload_bytes += found.block.length
                yield self._take(found.content)

    def read_metadata(self) -> dict[str, str]:
        """The recording's tags, which stand in front of the data blocks if there are any: for those who need them
        before the first tokens. Waits for the start of the first data block."""
        with contextlib.suppress(CorruptError):
            while self._source.block_header().skippable:
                found = self._parse()
                if found.number != self._next:
                    break
                self._source.skip(found.block.block_size)
        return self.metadata

    def skip_blocks(self, number: int) -> None:
        """Pass over the data blocks before block ``number`` without decoding them, for a start in the middle.

        Damage in front of it is passed over as well, without a report. Stops earlier at the last block, and where no
        good one follows, which reading on deals with. The digest cannot be checked then.
        """
        while self._next < number:
            try:
                block, found, payload = self._source.whole_block(self._next)
                holds_all = block.tag & ~(CODED | GAINS) == DATA  # frames of a data block
                if holds_all and found < number:
                    self._gain = split_data(block, payload, self.header, self._gain)[0][:, -1:]
            except CorruptError:
                if not self._source.skip_to_sync():
                    break
                continue
            if not block.skippable and block.kind != DATA:
                break
            self._pass_to(min(found, number))
            if found >= number or not (block.skippable or holds_all):
                break
            self._source.skip(block.block_size)
            self._pass_to(found + (not block.skippable))

    def _pass_to(self, number: int) -> None:
        self._next, self._position = number, number * self.header.frames_per_block
        self._whole = False

    def _parse(self) -> _Found:
        """The block at the front of the source; CorruptError: no good block stands there."""
        block, number, payload = self._source.whole_block(self._next)
        return _Found(number, block, self._content(block, number, payload))

    def _content(self, block: BlockHeader, number: int, payload: bytes) -> Block | End | None:
        if block.skippable:
            if block.tag == METADATA and not (self.metadata or self._position):
                self.metadata = unpack_metadata(payload)
            return None
        if block.kind == END and not block.flags:
            end = End.unpack(payload)
            end.check(self.header)
            if number == self._next and end.frames(self.header) != self._position:
                raise CorruptError("it contradicts the blocks before it")
            return end
        flags = GAINS | SHORT | (0 if self.header.payload_coding == RAW else CODED)
        if block.kind == DATA and not block.flags & ~flags:
            if self._position < self._next * self.header.frames_per_block:
                raise CorruptError("it follows a short block, which must be the last")
            gains, payload = split_data(block, payload, self.header, self._gain)
            frames, coded = gains.shape[1], bool(block.flags & CODED)
            behind = self._source.payloads_behind(block.block_size, number)
            tokens = self._unpacker.tokens(payload, frames, coded, behind)
            self._gain = gains[:, -1:]
            return Block(number, frames, coded, gains, tokens)
        raise CorruptError(f"its type 0x{block.tag:02x} is not known: made by a newer HAC; update")

    def _close_gap(self, found: _Found) -> None:
        """Report what lies between the last good block and this one, if anything does."""
        start = self._position
        if isinstance(found.content, End):
            start = found.content.frames(self.header)
        elif found.number > self._next:
            start = found.number * self.header.frames_per_block
        if self._reason:
            self._report(Damage(self._position, start - self._position, self._reason))
            self._reason = ""
        self._next, self._position = found.number, start

    def _take(self, block: Block) -> Block:
        self._next = block.number + 1
        self._position += block.frames
        if self.gives_tokens:
            self._digest.update(block.tokens)
        return block

    def _finish(self, end: End) -> None:
        self._ended = True
        if self._whole and self.gives_tokens and self._digest.digest() != end.digest:
            self._fail(Damage(0, self._position, "digest mismatch: these are not the tokens that were written"))
        rate, size = self.header.sample_rate, self.bytes_read
        self.summary = Summary(rate, end.samples, self._position, self._next, size, self.payload_bytes)
        if behind := self._source.peek(len(MAGIC)):
            reason = "bytes follow the end block"
            if behind == MAGIC:
                reason = (
                    f"another .hac file follows the end block; tail -c +{size + 1} gives it, hac cat joins such files"
                )
            elif self._on_damage is None:
                reason += "; hac decompress --recover passes over them"
            self._fail(Damage(self._position, 0, reason, True))

    def _end_early(self, reason: str) -> None:
        self._ended = True
        self._report(Damage(self._position, None, f"{self._reason}; {reason}"))

    def _fail(self, damage: Damage) -> None:
        if self._on_damage is None:
            raise CorruptError(damage.reason)
        self._report(damage)

    def _report(self, damage: Damage) -> None:
        assert self._on_damage is not None
        self._whole = False
        self._on_damage(damage)

    def _describe(self, error: CorruptError) -> str:
        """What is wrong with which block, at what time."""
        kind = DATA
        with contextlib.suppress(CorruptError):
            kind = self._source.block_header().kind
        return describe(error, self.header, self._next, self._position, kind, self._whole)
