"""The C in this folder, for what Python and numpy are slow at. The package installs without a C compiler as well: then
``library`` raises ImportError, and whoever asked does the same in numpy."""

from __future__ import annotations

import ctypes
import functools
from importlib.util import find_spec
from pathlib import Path

LIBRARY = "hac_cli.compiled._library"


@functools.cache
def library() -> ctypes.CDLL:
    """Its functions, without their types."""
    spec = find_spec(LIBRARY)
    if spec is None or spec.origin is None:
        raise ImportError("hac-cli was installed without a C compiler: its compiled parts are missing")
    built = Path(spec.origin).stat().st_mtime
    if any(source.stat().st_mtime > built for source in Path(__file__).parent.glob("*.[ch]")):  # of a checkout, if any
        raise ImportError("hac-cli's compiled parts are older than their sources: install it again")
    try:
        return ctypes.CDLL(spec.origin)
    except OSError as error:
        raise ImportError(f"{spec.origin} can't be loaded: {error}") from error


def is_there() -> bool:
    try:
        library()
    except ImportError:
        return False
    return True
