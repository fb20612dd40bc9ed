"""Reading from a file or a pipe no further than asked, with the means to look at the same bytes again."""

from __future__ import annotations

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

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes without taking them; fewer only where the stream ends."""
        while len(self._ahead) < size:
            data = self._stream.read(size - len(self._ahead))
            if not data:
                break
            self._ahead += data
        return bytes(self._ahead[:size])

    def skip(self, size: int) -> None:
        """Take ``size`` bytes that were peeked at."""
        assert size <= len(self._ahead)
        del self._ahead[:size]
        self.consumed += size

    def skip_to(self, pattern: bytes, step: int) -> bool:
        """Take at least one byte, then all before the next ``pattern``; False: the stream ended without one.

        It never reads ``step`` bytes or more beyond the pattern's first byte.
        """
        self.skip(min(1, len(self._ahead)))
        while (found := self._ahead.find(pattern)) < 0:
            self.skip(max(0, len(self._ahead) - len(pattern) + 1))
            if len(self.peek(step)) < len(pattern):
                self.skip(len(self._ahead))
                return False
        self.skip(found)
        return True
