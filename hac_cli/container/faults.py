"""What a strict reader says of the first thing that is wrong."""

from __future__ import annotations

from hac_cli.container.block_source import Truncated
from hac_cli.container.blocks import DATA, END
from hac_cli.container.header import Header
from hac_cli.errors import CorruptError


class Missing(CorruptError):
    """A later block stands in this one's place."""


def describe(error: CorruptError, header: Header, number: int, frame: int, kind: int, all_read: bool) -> str:
    """What is wrong with data block ``number``, whose first frame is ``frame``, or with the block of another kind that
    stands in front of it, and at what time. ``all_read``: nothing before it was passed over."""
    start = header.heard_at(frame)
    if isinstance(error, Truncated):
        if not all_read:  # nobody has looked at what was passed over
            return f"truncated: it ends at {start:.1f} s without an end block"
        return f"truncated: it is good up to {start:.1f} s, then ends without an end block"
    block = f"block {number} ({start:.1f} s to {header.heard_at(frame + header.frames_per_block):.1f} s)"
    if isinstance(error, Missing):
        return f"{block} is missing"
    if kind == END:
        block = "the end block"
    elif kind != DATA:
        block = f"a block of type 0x{kind:02x} before {block}"
    return f"{block} is damaged: {error.message}"
