"""The network's shape, as frozen dataclasses: everything that must be known to build it, and nothing else."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from hac_cli.errors import ModelError
from hac_cli.rate import CODEC_SAMPLE_RATE

MAX_PARAMETERS = 4_000_000


@dataclass(frozen=True)
class ModelConfig:
    """Shape of one codec network. Widths, blocks and strides are listed from the waveform inwards; the decoder has the
    encoder's widths and blocks where it has none of its own.

    ``look_ahead`` is in samples: the decoder's output is the input delayed by that much, so that the network may
    use the future without any layer that is not causal. ``decoder_taps`` is how many frames the decoder's first layer
    sees. ``noise``: the decoder is given noise to shape.
    """

    name: str = "v2"
    sample_rate: int = CODEC_SAMPLE_RATE
    strides: tuple[int, ...] = (20, 4, 2, 2)
    widths: tuple[int, ...] = (72, 144, 288, 320)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    decoder_widths: tuple[int, ...] = ()
    decoder_blocks: tuple[int, ...] = ()
    dilations: tuple[int, ...] = (1, 2, 4)
    kernel: int = 7
    expansion: int = 2
    bits_per_token: int = 18
    look_ahead: int = 640
    decoder_taps: int = 1
    noise: bool = False
    input_scaling: Literal["z_norm", "none"] = "z_norm"
    feature_scaling: Literal["std", "mean_abs"] = "std"
    scale_tracking: Literal["ema", "batch"] = "ema"

    def __post_init__(self) -> None:
        if self.sample_rate != CODEC_SAMPLE_RATE:
            raise ModelError(f"sample_rate is {CODEC_SAMPLE_RATE}, that of all data, losses and files")
        shapes = (self.widths, self.blocks, self.decoder_widths or self.widths, self.decoder_blocks or self.blocks)
        if any(len(shape) != len(self.strides) for shape in shapes):
            raise ModelError("strides, widths and blocks must have one entry for each stage")
        sizes = (*self.strides, *self.widths, *self.decoder_widths, *self.dilations, self.kernel, self.expansion)
        if min(*sizes, self.bits_per_token, self.decoder_taps) < 1:
            raise ModelError("all sizes of a network are 1 or more")

    @property
    def hop_length(self) -> int:
        """Samples in a frame."""
        return math.prod(self.strides)

    @property
    def frame_rate(self) -> float:
        """Frames in a second."""
        return self.sample_rate / self.hop_length

    @property
    def noise_steps_per_frame(self) -> int:
        """How often in a frame there is new noise, in the decoder's last stage; 0 without noise."""
        return self.hop_length // self.strides[0] if self.noise else 0

    @property
    def latency_seconds(self) -> float:
        """Algorithmic latency: one whole frame has to be there, and the look-ahead after it."""
        return (self.hop_length + self.look_ahead) / self.sample_rate

    @property
    def bitrate(self) -> float:
        """Payload bits in a second of one channel, before any entropy coding."""
        return self.frame_rate * self.bits_per_token

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Raises ModelError on a key that is not a field."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ModelError(f"unknown model setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
        settings: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**settings)
