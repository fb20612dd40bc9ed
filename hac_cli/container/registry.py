"""Numbers with a fixed meaning in every ``.hac`` file; ``format_spec.md`` holds the same tables."""

from __future__ import annotations

LOWEST_VERSION = 0x10
"""Major version in the high four bits (a reader refuses another one), minor in the low four (any is accepted)."""
VERSION = 0x16
"""The one that has all that is written here."""

COMPACT = 0x01
"""Bit of the incompatible flags: data blocks may be compact."""
TINTED = 0x02
"""Bit of the incompatible flags: gains have terms of a tint behind them."""
BAND_LIMITED = 0x04
"""Bit of the incompatible flags: the terms of a tint have a bandwidth behind them."""
TINT_TERMS = 4
"""Terms of a tint for each channel,"""
MOST_TINT = 24
"""and how many dB one may be, more or less than 0."""
BANDWIDTH_HERTZ, MOST_BANDWIDTH = 375, 31
"""What a bandwidth counts, and the most that it may be."""

RAW, PREDICTED = 0, 1
PAYLOAD_CODINGS = {RAW: "raw", PREDICTED: "predicted"}

MODELS: dict[int, str] = {1: "v2", 2: "v1", 3: "v2-150"}
"""Model number to model name. 0 is a model without a registered name, known by its weights' digest alone."""
