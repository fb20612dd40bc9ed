"""Reading from a file or a pipe no further than asked, with the means to look at the same bytes again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Readable(Protocol):
    """What a ``.hac`` file is read from: any binary stream has it."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """What a ``.hac`` file is written to: any binary stream has it."""

    def write(self, data: memoryview, /) -> int: ...

    def flush(self) -> None: ...


class Source:
    """Bytes of a binary stream, of which only ``read(n)`` is used; short reads are fine.

    No more is ever read than somebody peeked at: a live writer's block is never waited for behind the next one.
    ``never_waits``: there is none, the stream is a file or in memory.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.never_waits = bool(getattr(stream, "seekable", bool)())
        self._ahead = bytearray()  # read, not yet skipped
        self.consumed = 0

    def peek(self, size: int, offset: int = 0) -> bytes:
        """``size`` bytes, ``offset`` from here, without taking them; fewer only where the stream ends."""
        self._fill(offset + size)
        return bytes(self._ahead[offset : offset + size])

    def _fill(self, size: int) -> bool:
        while len(self._ahead) < size:
            data = self._stream.read(size - len(self._ahead))
            if not data:
                return False
            self._ahead += data
        return True

    def skip(self, size: int) -> None:
        """Take ``size`` bytes that were peeked at."""
        assert size <= len(self._ahead)
        del self._ahead[:size]
        self.consumed += size

    def find(self, pattern: bytes, start: int, step: int, most: int) -> int:
        """How many bytes from here, from ``start`` on, the next ``pattern`` stands; -1: not within ``most``. Nothing is
        taken, nor ``step`` bytes or more read beyond its first one."""
        while (found := self._ahead.find(pattern, start)) < 0:
            start = max(start, len(self._ahead) - len(pattern) + 1)
            if start > most or (not self._fill(start + step) and len(self._ahead) < start + len(pattern)):
                return -1
        return found if found <= most else -1

    def skip_to(self, patterns: Sequence[bytes], step: int) -> bool:
        """Take at least one byte, then all before the next of the ``patterns``; False: the stream ended without one.

        It never reads ``step`` bytes or more beyond the pattern's first byte.
        """
        self.skip(min(1, len(self._ahead)))
        while (first := self._first(patterns)) < 0:
            self.skip(max(0, len(self._ahead) - max(map(len, patterns)) + 1))
            before = len(self._ahead)
            if len(self.peek(step)) == before:
                self.skip(before)
                return False
        self.skip(first)
        return True

    def _first(self, patterns: Sequence[bytes]) -> int:
        """Where the first of the patterns stands, -1 if none does. None is looked for behind another, which may be
        near, and the other one nowhere."""
        first, size = -1, len(self._ahead)
        for pattern in patterns:
            at = self._ahead.find(pattern, 0, size if first < 0 else first + len(pattern) - 1)
            first = at if at >= 0 else first
        return first
