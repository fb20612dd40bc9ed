"""The sample rate of everything inside; on its own, since the list of models loads nothing else."""

from __future__ import annotations

CODEC_SAMPLE_RATE = 24_000
"""Samples a second that every model of this major version codes, whatever the recording's own rate."""
