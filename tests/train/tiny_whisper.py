"""A Whisper as small as it gets, in a file as CTranslate2 writes it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from hac_cli.losses.ctranslate2 import TYPES
from hac_cli.losses.whisper import WhisperEncoder, name_in_file

MELS, WIDTH, HEADS, LAYERS, POSITIONS = 20, 16, 2, 1, 50


def write_whisper(path: Path, kind: type = np.float16) -> Path:
    """An encoder of random weights, all of one type."""
    random = np.random.default_rng(0)
    arrays = {"encoder/num_heads": np.array(HEADS, np.int16)}
    for name, value in WhisperEncoder(MELS, WIDTH, HEADS, LAYERS, POSITIONS).state_dict().items():
        arrays[name_in_file(name)] = (random.standard_normal(tuple(value.shape)) / WIDTH**0.5).astype(kind)
    with path.open("wb") as file:
        file.write(struct.pack("<I", 6) + _text("WhisperSpec") + struct.pack("<II", 3, len(arrays)))
        for name, array in arrays.items():
            number = next(number for number, known in TYPES.items() if known == array.dtype)
            file.write(_text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape))
            file.write(struct.pack("<BI", number, array.nbytes) + array.tobytes())
    return path


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"
