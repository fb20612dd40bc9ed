"""HAC: a neural speech codec. ``compress`` and ``decompress`` work on recordings, ``encode`` and ``decode`` on
arrays; importing the package itself loads none of the network's dependencies."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hac_cli.codec import decode, decoder_stream, encode, encoder_stream, load_model
    from hac_cli.errors import HacError
    from hac_cli.recordings import Result, compress, decompress

_RECORDINGS = ("Result", "compress", "decompress")

__all__ = [
    "HacError", "Result", "compress", "decode", "decoder_stream", "decompress", "encode", "encoder_stream",
    "load_model",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # which takes as long to load as much of this package

        return version("hac-cli")
    if name == "HacError":
        return import_module("hac_cli.errors").HacError
    if name in __all__:
        module = "hac_cli.recordings" if name in _RECORDINGS else "hac_cli.codec"
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is there without having been loaded, too, for completion."""
    return sorted({*globals(), *__all__, "__version__"})
