"""HAC: a neural speech codec. ``compress`` and ``decompress`` work on recordings, ``encode`` and ``decode`` on
arrays; importing the package itself loads none of the network's dependencies."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hac_cli.batch.tokens import read_tokens
    from hac_cli.codec import condition, decode, decoder_stream, encode, encoder_stream, load_model
    from hac_cli.errors import HacError
    from hac_cli.recordings import Result, compress, decompress

_ELSEWHERE = {
    "HacError": "errors", "Result": "recordings", "compress": "recordings", "decompress": "recordings",
    "read_tokens": "batch.tokens",
}  # fmt: skip

__all__ = [
    "HacError", "Result", "compress", "condition", "decode", "decoder_stream", "decompress", "encode",
    "encoder_stream", "load_model", "read_tokens",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # which takes as long to load as much of this package

        return version("hac-cli")
    if name in __all__:
        return getattr(import_module(f"hac_cli.{_ELSEWHERE.get(name, 'codec')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is there without having been loaded, too, for completion."""
    return sorted({*globals(), *__all__, "__version__"})
