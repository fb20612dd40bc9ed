"""A Whisper as small as it gets, in a file as CTranslate2 writes it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from hac_cli.losses.ctranslate2 import TYPES
from hac_cli.losses.whisper_network import NAMES, VOCABULARY, WhisperDecoder, WhisperEncoder

MELS, WIDTH, HEADS, LAYERS, POSITIONS = 20, 16, 2, 1, 50


def write_whisper(path: Path, vocabulary: int = VOCABULARY, kind: type = np.float16) -> Path:
    """Random weights, all of one type."""
    random = np.random.default_rng(0)
    halves = {"encoder": WhisperEncoder(MELS, WIDTH, HEADS, LAYERS, POSITIONS),
              "decoder": WhisperDecoder(vocabulary, WIDTH, HEADS, LAYERS, POSITIONS)}  # fmt: skip
    arrays = {f"{half}/num_heads": np.array(HEADS, np.int16) for half in halves}
    for half, module in halves.items():
        for name, value in module.state_dict().items():
            array = random.standard_normal(tuple(value.shape)) / WIDTH**0.5
            arrays[f"{half}/{_in_file(name)}"] = array.astype(kind)
    with path.open("wb") as file:
        file.write(struct.pack("<I", 6) + _text("WhisperSpec") + struct.pack("<II", 3, len(arrays)))
        for name, array in arrays.items():
            number = next(number for number, known in TYPES.items() if known == array.dtype)
            file.write(_text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape))
            file.write(struct.pack("<BI", number, array.nbytes) + array.tobytes())
    return path


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def _in_file(name: str) -> str:
    if name == "positions":
        return "position_encodings/encodings"
    *layer, part, kind = name.split(".")
    if "norm" in part:
        kind = {"weight": "gamma", "bias": "beta"}[kind]
    return "/".join([*(f"layer_{number}" for number in layer[1:]), NAMES[part], kind])
