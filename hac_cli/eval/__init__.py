"""How good, how fast and how small the codec is, beside others: metrics, baselines, bench, comparison, report."""

from __future__ import annotations

from hac_cli.container import CODEC_SAMPLE_RATE

SAMPLE_RATE = CODEC_SAMPLE_RATE
"""Every codec gets its clips, and is judged, at this rate in Hz, whatever it works with inside."""
