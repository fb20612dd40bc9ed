"""What a reader gives: blocks, and what is damaged between them."""

from __future__ import annotations

from dataclasses import dataclass

from hac_cli.container.gains import Gains
from hac_cli.container.packing import Tokens


@dataclass(frozen=True)
class Block:
    """One data block: its number, from 0, how many frames it holds, whether it is coded or raw, and the frames' gains.

    Its first frame is ``number * frames_per_block``.
    """

    number: int
    frames: int
    coded: bool
    gains: Gains
    _tokens: Tokens | None

    @property
    def tokens(self) -> Tokens:
        """int32 ``[channels, frames, tokens_per_frame]``; not for coded blocks of a reader without a predictor."""
        assert self._tokens is not None
        return self._tokens


@dataclass(frozen=True)
class Damage:
    """Frames that could not be read, from ``first_frame`` on.

    ``frames`` is None where the file ends without saying how many are missing, and 0 where no token was lost
    (foreign bytes between blocks, say); ``behind``: it is what stands behind the end.
    """

    first_frame: int
    frames: int | None
    reason: str
    behind: bool = False
