"""The C in this folder, for what Python and numpy are slow at. The package installs without a C compiler as well: then
``library`` raises ImportError, and whoever asked does the same in numpy."""

from __future__ import annotations

import ctypes
import functools
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIBRARY = "hac_cli.compiled._library"

_Numbers = ctypes.c_char * 0


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


def pointer(array: NDArray[Any]) -> ctypes.Array[ctypes.c_char]:
    """For C, to an array's numbers, in a quarter of the time that ``array.ctypes`` takes. TypeError where they aren't
    side by side or mustn't be written."""
    return _Numbers.from_buffer(array)  # type: ignore[arg-type]


def is_there() -> bool:
    try:
        library()
    except ImportError:
        return False
    return True
