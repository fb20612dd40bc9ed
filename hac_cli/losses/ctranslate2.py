"""Reads the named arrays of a CTranslate2 ``model.bin`` (binary versions 4 to 6), which no other library gives out.

Little-endian: version, name and revision of the specification, the number of arrays; then for each its name, rank,
dimensions, type and bytes (``ctranslate2.specs.model_spec.ModelSpec.save``).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hac_cli.errors import ModelError

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_arrays(path: Path, prefix: str = "") -> dict[str, NDArray]:
    """The arrays whose names begin with ``prefix``, by name. Raises ModelError for a file that is not such a model."""
    try:
        with path.open("rb") as file:
            return _read(file, prefix)
    except FileNotFoundError:
        raise ModelError("no such file", str(path)) from None
    except (struct.error, UnicodeDecodeError, ValueError, KeyError, MemoryError) as error:
        raise ModelError(f"is not a CTranslate2 model that can be read: {error}", str(path)) from None


def _read(file: BinaryIO, prefix: str) -> dict[str, NDArray]:
    version = _number(file, "I")
    if not 4 <= version <= 6:
        raise ValueError(f"binary version {version}")
    _text(file), _number(file, "I")
    arrays = {}
    for _ in range(_number(file, "I")):
        name = _text(file)
        shape = [_number(file, "I") for _ in range(_number(file, "B"))]
        kind, size = _number(file, "B"), _number(file, "I")
        if name.startswith(prefix):
            arrays[name] = np.frombuffer(file.read(size), TYPES[kind]).reshape(shape)
        else:
            file.seek(size, 1)
    return arrays


def _number(file: BinaryIO, kind: str) -> int:
    size = struct.calcsize("<" + kind)
    return int(struct.unpack("<" + kind, file.read(size))[0])


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H"))[:-1].decode()  # it ends with a zero byte
