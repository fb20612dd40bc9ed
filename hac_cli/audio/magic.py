"""How files begin that libsndfile can read: it looks for these same bytes, but only in a file on disk.

What comes through a pipe has to be copied to one first, which for a device without an end takes all of the disk.
"""

from __future__ import annotations

import re

_KNOWN = (
    rb"RIF[FX]....WAVE|RF64....WAVE|riff|FORM....(AIF[FC]|8SVX|16SV)|caff|fLaC|OggS|NIST|\.snd|dns\.|Creative"
    rb"|ID3|\xff[\xe0-\xff]"  # MP3, with tags or at once
    rb"| paf|fap |PVF1|\x64\xa3[\x00-\x07]\x00|\x00[\x00-\x07]\xa3\x64"  # the last two are IRCAM
)


def may_be_audio(magic: bytes) -> bool:
    """Whether the first 12 bytes are those of a format that libsndfile knows."""
    return re.match(_KNOWN, magic, re.DOTALL) is not None
