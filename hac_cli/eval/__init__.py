"""How good, how fast and how small the codec is, beside others: metrics, baselines, bench, comparison, report."""

from __future__ import annotations

SAMPLE_RATE = 24_000
"""Every codec gets its clips, and is judged, at this rate in Hz, whatever it works with inside."""
