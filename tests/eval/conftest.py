"""Speech to measure with, and codecs that are two small scripts."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hac_cli.eval import clips

SPEECH = Path(__file__).parents[2] / "samples" / "speech.wav"

_COARSE = """
import array, sys, wave
with wave.open(sys.argv[1]) as source, wave.open(sys.argv[2], "wb") as target:
    target.setparams(source.getparams())
    samples = array.array("h", source.readframes(source.getnframes()))
    target.writeframes(array.array("h", [sample & ~int(sys.argv[3]) for sample in samples]).tobytes())
"""


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """Four seconds at 24 kHz."""
    return clips.load(SPEECH)[: 4 * 24_000]


@pytest.fixture(scope="session")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A command template that takes the lowest bits away from WAV; add which ones."""
    script = tmp_path_factory.mktemp("coarse") / "coarse.py"
    script.write_text(_COARSE, encoding="utf-8")
    return f"{sys.executable} -I -S {script} {{in}} {{out}}"
