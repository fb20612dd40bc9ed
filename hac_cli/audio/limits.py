"""What HAC codes: sample rates and channel counts, for every source of audio alike."""

from __future__ import annotations

MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 192_000
MAX_CHANNELS = 8


def unsupported(sample_rate: int, channels: int) -> str | None:
    """Says what is wrong with the layout of some audio and what to do about it, or None if HAC can code it."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        return (
            f"has a sample rate of {sample_rate} Hz, and HAC takes {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz; "
            "resample it first, for example with ffmpeg -ar 24000 or sox -r 24000"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        return (
            f"has {channels} channels, and HAC takes 1 to {MAX_CHANNELS}; "
            "mix it down first, for example with ffmpeg -ac 1"
        )
    return None
