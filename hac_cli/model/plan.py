"""The network's layers in order, told once: the torch network and the numpy engine are both built from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hac_cli.model.config import ModelConfig


@dataclass(frozen=True)
class Layer:
    """``inputs`` and ``outputs`` are channels; ``down`` and ``up`` change the number of steps by ``stride``, which of
    ``noise`` is its steps in a frame; ``dense`` sees ``taps`` steps."""

    kind: Literal["down", "up", "block", "snake", "linear", "dense", "noise"]
    inputs: int
    outputs: int
    stride: int = 1
    dilation: int = 1
    taps: int = 1


def _blocks(config: ModelConfig, width: int, count: int) -> list[Layer]:
    dilations = [config.dilations[i % len(config.dilations)] for i in range(count)]
    return [Layer("block", width, width, dilation=dilation) for dilation in dilations]


def encoder_plan(config: ModelConfig) -> list[Layer]:
    """Audio, one channel, to latents."""
    layers: list[Layer] = []
    inputs = 1
    for stride, width, blocks in zip(config.strides, config.widths, config.blocks, strict=True):
        layers += [Layer("down", inputs, width, stride), *_blocks(config, width, blocks)]
        inputs = width
    return [*layers, Layer("snake", inputs, inputs), Layer("linear", inputs, config.bits_per_token)]


def decoder_plan(config: ModelConfig) -> list[Layer]:
    """Signs to audio: the encoder's mirror image, with noise for the last stage where there is any."""
    widths, blocks = config.decoder_widths or config.widths, config.decoder_blocks or config.blocks
    taps = config.decoder_taps
    layers = [Layer("dense" if taps > 1 else "linear", config.bits_per_token, widths[-1], taps=taps)]
    for stage in reversed(range(len(config.strides))):
        width = widths[stage]
        outputs = widths[stage - 1] if stage else 1
        if config.noise and not stage:
            layers.append(Layer("noise", width, width, stride=config.noise_steps_per_frame))
        layers += [*_blocks(config, width, blocks[stage]), Layer("snake", width, width), Layer("up", width,
                   outputs, config.strides[stage])]  # fmt: skip
    return layers
