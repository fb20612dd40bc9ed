"""Released networks as ONNX, for browsers, phones and other languages: an encoder and a decoder, with their state.

``NAME-encoder.onnx`` takes ``audio [channels, samples]`` (float32 at the model's rate, a whole number of frames) and
``state_0`` ... and gives ``tokens [channels, frames, 1]`` (int32), ``latents [channels, frames, bits]`` and
``next_state_0`` ...; ``NAME-decoder.onnx`` takes ``tokens`` and its states and gives ``audio`` and the next ones. A
stream starts with states of zeros, of the shapes that the file tells (``channels`` first), and hands on what it got.
A decoder's state of one value is the step in its noise: a stream that starts at frame f sets it to f times
``noise_steps_per_frame`` mod 64256, to have the noise of the whole. The decoder's audio is ``look_ahead`` samples late.
Constants of the model are in the file's metadata.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hac_cli.errors import ModelError, OutputError
from hac_cli.model.network import Codec
from hac_cli.model.quantizer import to_signs, to_tokens
from hac_cli.model.release import load_release
from hac_cli.model.released import ReleasedModel

OPSET = 17


class _Encoder(nn.Module):
    def __init__(self, network: Codec) -> None:
        super().__init__()
        self.network = network

    def forward(self, audio: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        latents, after = self.network.encode(audio, state)
        return to_tokens(latents).to(torch.int32), latents, *after


class _Decoder(nn.Module):
    def __init__(self, network: Codec) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        audio, after = self.network.decode(to_signs(tokens.long(), self.network.config.bits_per_token), state)
        return audio, *after


def export_onnx(model: ReleasedModel, folder: Path) -> list[Path]:
    """Writes both files and gives their paths. Raises ModelError without the package onnx, OutputError where the
    folder can't be written to."""
    try:
        import onnx
    except ImportError:
        raise ModelError("exporting needs the package onnx: pip install 'hac-cli[onnx]'") from None
    network = load_release(model)
    frames = 4
    audio = torch.zeros(1, frames * model.config.hop_length)
    tokens = torch.zeros(1, frames, 1, dtype=torch.int32)
    paths = [folder / f"{model.name}-encoder.onnx", folder / f"{model.name}-decoder.onnx"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".hac-", dir=folder) as partial:
            made = [Path(partial, path.name) for path in paths]
            _write(_Encoder(network), "audio", audio, ["tokens", "latents"], network.fresh_encoder(1), made[0])
            _write(_Decoder(network), "tokens", tokens, ["audio"], network.fresh_decoder(1), made[1])
            for file in made:
                graph = onnx.load(file)
                onnx.helper.set_model_props(graph, _about(model))
                onnx.save(graph, file)
            for file, path in zip(made, paths, strict=True):
                file.replace(path)
    except OSError as error:
        raise OutputError(f"can't be written: {error.strerror}", str(folder)) from error
    return paths


def _write(
    module: nn.Module, given: str, example: Tensor, results: list[str], state: tuple[Tensor, ...], path: Path
) -> None:
    states = [f"state_{index}" for index in range(len(state))]
    outputs = [*results, *(f"next_{name}" for name in states)]
    steps = {"audio": "samples", "tokens": "frames", "latents": "frames"}
    axes: dict[str, dict[int, str]] = {name: {0: "channels"} for name in (*states, *outputs, given)}
    for name in (given, *results):
        axes[name] = {0: "channels", 1: steps[name]}
    # the tracing exporter: the other one fixes the shapes of the states to those of the example
    options: dict[str, Any] = {"dynamo": False, "opset_version": OPSET, "dynamic_axes": axes}
    torch.onnx.export(module.eval(), (example, *state), path, input_names=[given, *states], output_names=outputs,
                      **options)  # fmt: skip


def _about(model: ReleasedModel) -> dict[str, str]:
    config = model.config
    values = {
        "model": model.name,
        "model_id": model.model_id,
        "weights_sha256": model.digest,
        "sample_rate": config.sample_rate,
        "hop_length": config.hop_length,
        "look_ahead": config.look_ahead,
        "bits_per_token": config.bits_per_token,
        "noise_steps_per_frame": config.noise_steps_per_frame,
    }
    return {key: str(value) for key, value in values.items()}
