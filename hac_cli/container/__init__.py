"""The ``.hac`` container: headers, blocks of tokens, and everything that notices damage.

``format_spec.md`` describes the bytes. Only numpy and the standard library are used here, no model.
"""

from hac_cli.container.gains import Gains
from hac_cli.container.header import Header
from hac_cli.container.pieces import Block, Damage
from hac_cli.container.predictor import Predictor
from hac_cli.container.reader import Reader
from hac_cli.container.registry import (
    BANDWIDTH_HERTZ,
    LOWEST_VERSION,
    MODELS,
    MOST_BANDWIDTH,
    MOST_TINT,
    PAYLOAD_CODINGS,
    PREDICTED,
    RAW,
    TINT_TERMS,
    VERSION,
)
from hac_cli.container.summary import Summary
from hac_cli.container.verify import Report, samples_at_end, verify
from hac_cli.container.writer import Writer
from hac_cli.rate import CODEC_SAMPLE_RATE

__all__ = [
    "BANDWIDTH_HERTZ",
    "CODEC_SAMPLE_RATE",
    "LOWEST_VERSION",
    "MODELS",
    "MOST_BANDWIDTH",
    "MOST_TINT",
    "PAYLOAD_CODINGS",
    "PREDICTED",
    "RAW",
    "TINT_TERMS",
    "VERSION",
    "Block",
    "Damage",
    "Gains",
    "Header",
    "Predictor",
    "Reader",
    "Report",
    "Summary",
    "Writer",
    "samples_at_end",
    "verify",
]
