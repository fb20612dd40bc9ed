"""Streaming audio in and out, and streaming resampling.

Audio is float32 of shape ``[channels, samples]``, full scale at -1 and 1, and moves in blocks, so that a day of
it needs no more memory than a second. Importing this needs numpy alone: soundfile and soxr are loaded by the
first file or resampler that needs them, and WAV and headerless PCM never need soundfile.
"""

from __future__ import annotations

from hac_cli.audio.pcm import RawFormat
from hac_cli.audio.reader import AudioReader, to_mono
from hac_cli.audio.resample import Resampler, resampled_length
from hac_cli.audio.source import ByteSource, Source, is_seekable
from hac_cli.audio.target import ByteTarget, Target, refuse_same_file, whole, whole_bytes
from hac_cli.audio.writer import AudioWriter

__all__ = [
    "AudioReader",
    "AudioWriter",
    "ByteSource",
    "ByteTarget",
    "RawFormat",
    "Resampler",
    "Source",
    "Target",
    "is_seekable",
    "refuse_same_file",
    "resampled_length",
    "to_mono",
    "whole",
    "whole_bytes",
]
