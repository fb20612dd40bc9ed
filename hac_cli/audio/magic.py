"""How files begin that libsndfile can read: it looks for these same bytes, but only in a file on disk.

What comes through a pipe has to be copied to one first, which for a device without an end takes all of the disk.
"""

from __future__ import annotations

import re

_KNOWN = (
    rb"RIF[FX]....WAVE|RF64....WAVE|riff|FORM....(AIF[FC]|8SVX|16SV)|caff|fLaC|OggS|NIST|\.snd|dns\.|Creative"
    rb"|ID3|\xff[\xe0-\xff]"  # MP3, with tags or at once
    rb"| paf|fap |2BIT|PVF1|ALawSoundFil|Extended Ins|MATLAB 5"
    rb"|\x64\xa3[\x00-\x07]\x00|\x00[\x00-\x07]\xa3\x64"  # IRCAM, of both byte orders
    rb"|\x00\x00\x03\xe8(\x00\x00\x00\x01){2}|\x00{4}(\x01\x00\x00\x00){2}"  # MATLAB 4, of both
    rb"|\xf0\x7e[\x00-\x7f]\x01|\x01\x04|.{8}\x00\x02\x00\x00"  # SDS, MPC 2000, HTK
)


def may_be_audio(magic: bytes) -> bool:
    """Whether the first 12 bytes are those of a format that libsndfile knows."""
    return re.match(_KNOWN, magic, re.DOTALL) is not None
