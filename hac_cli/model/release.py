"""From a trained network to the weights that ship: scales folded, bfloat16, safetensors; and back."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from hac_cli.errors import ModelError
from hac_cli.model.config import MAX_PARAMETERS, ModelConfig
from hac_cli.model.layers import Block
from hac_cli.model.network import Codec
from hac_cli.model.plan import decoder_plan, encoder_plan
from hac_cli.model.released import ReleasedModel, checked_weights, read_config, read_metadata
from hac_cli.model.scaling import FeatureScale


def unscaled(model: Codec) -> Codec:
    """Takes the feature scaling out of a network whose weights hold it already."""
    for module in model.modules():
        if isinstance(module, Block):
            module.scale = nn.Identity()
    return model


@torch.no_grad()
def fold(model: Codec) -> Codec:
    """A copy that computes the same with every feature-map scale moved into the weights beside it.

    The input's mean and standard deviation stay as two constants: zeros before the start of a stream are zeros
    after scaling, which no weight could express.
    """
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, Block) and isinstance(module.scale, FeatureScale):
            module.depthwise.weight.div_(module.scale.scale.clamp_min(1e-4))
    return unscaled(model)


def as_released(model: Codec) -> Codec:
    """A copy with the weights that its release has: folded, and what bfloat16 leaves of them."""
    model = fold(model)
    model.load_state_dict({name: tensor.float() for name, tensor in _tensors(model).items()})
    return model


def _tensors(model: Codec) -> dict[str, Tensor]:
    """Of a folded network's release: in bfloat16, but for the two input constants."""
    state = model.state_dict().items()
    return {name: tensor if name.startswith("input_scale") else tensor.to(torch.bfloat16) for name, tensor in state}


@torch.no_grad()
def unfold(released: Codec, audio: Tensor, config: ModelConfig | None = None) -> Codec:
    """A network to train on that computes what a released one does: each scale is measured on ``audio [B, T]``, set,
    and taken out of the weights that held it. ``config`` may ask for another kind of scaling."""
    model = Codec(config or released.config).eval()
    model.load_state_dict(released.state_dict(), strict=False)  # the scales, which a release lacks, stay at 1
    scaled = [(m.depthwise, m.scale) for m in model.modules() if isinstance(m, Block)]
    hooks = [scale.register_forward_hook(_measure) for _, scale in scaled]
    model(audio)
    for hook in hooks:
        hook.remove()
    for depthwise, scale in scaled:
        assert isinstance(scale, FeatureScale)
        depthwise.weight.mul_(scale.scale)
    return model


def _noise_last(config: ModelConfig) -> list[int]:
    """Indices of the decoder's layers in order, but that of the noise, which not every network has, at the end."""
    plan = decoder_plan(config)
    return sorted(range(len(plan)), key=lambda index: plan[index].kind == "noise")


def refitted(model: Codec, config: ModelConfig) -> dict[str, Tensor]:
    """The state of a network of ``config`` that begins with what ``model`` has learned. Filters of another stride are
    made shorter or longer, their gain kept; noise begins at none, or is left out; where the decoder is to see more
    frames, it begins by taking no notice of those that it is later by.

    Raises ModelError where it would be later by more frames than it sees, or earlier: none of them is what it knows."""
    state = Codec(config).state_dict()
    renamed = dict(zip(_noise_last(model.config), _noise_last(config), strict=False))
    for name, tensor in model.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "decoder":
            index, _, rest = rest.partition(".")
            if int(index) not in renamed:
                continue
            name = f"decoder.{renamed[int(index)]}.{rest}"
        state[name] = tensor
    state["decoder.0.weight"] = _widened(state["decoder.0.weight"], model.config, config)
    strides = {
        f"{part}.{i}.weight": layer
        for part, plan in (("encoder", encoder_plan(config)), ("decoder", decoder_plan(config)))
        for i, layer in enumerate(plan)
        if layer.kind in ("down", "up")
    }
    for name, layer in strides.items():
        taps, size = state[name], 2 * layer.stride
        if len(taps) != size:
            gain = len(taps) / size if layer.kind == "down" else 1.0  # an output of "up" sums two taps ever
            state[name] = gain * F.interpolate(taps.permute(1, 2, 0), size=size, mode="area").permute(2, 0, 1)
    return state


def _widened(weight: Tensor, old: ModelConfig, new: ModelConfig) -> Tensor:
    """The decoder's first weights: frames in order of time."""
    newer = (new.look_ahead - old.look_ahead) // new.hop_length
    older = new.decoder_taps - old.decoder_taps - newer
    if newer > 0 > older:
        raise ModelError(f"for a look_ahead of {new.look_ahead} after {old.look_ahead}, decoder_taps has to be "
                         f"{old.decoder_taps + newer} or more")  # fmt: skip
    if old.decoder_taps + newer < 1:
        raise ModelError(f"look_ahead has to be more than {old.look_ahead - old.decoder_taps * new.hop_length}")
    return F.pad(weight, (older * new.bits_per_token, newer * new.bits_per_token))


def _measure(scale: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    assert isinstance(scale, FeatureScale)
    measured, mean = scale.statistics(scale.measure(inputs[0]))
    scale.scale.copy_(measured)
    scale.mean.copy_(mean)


def save_release(model: Codec, path: Path, metadata: dict[str, str]) -> None:
    """Folds and writes the network in bfloat16 (the two input constants in float32).

    Raises ModelError for a network above the limit of parameters.
    """
    if model.parameter_count > MAX_PARAMETERS:
        raise ModelError(f"has {model.parameter_count:,} parameters; a release has at most {MAX_PARAMETERS:,}")
    tensors = _tensors(fold(model))
    about = {
        "config": json.dumps(model.config.as_dict()),
        "parameters": str(model.parameter_count),
        "format": "hac-weights-1",
        "tensors_sha256": _digest(tensors),
    }
    # safetensors' save_file makes files that nobody else may read
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, about | metadata))


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of their bytes in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_file_release(path: Path) -> Codec:
    """The network that a weights file holds, in float32, ready to code. Raises ModelError when they do not fit, or are
    not what was written, as far as the file tells."""
    config = read_config(path)
    model = unscaled(Codec(config))  # not on the "meta" device: that imports torch._dynamo, which takes 2 s
    try:
        tensors = load_file(path)
        if (told := read_metadata(path).get("tensors_sha256")) and told != _digest(tensors):
            raise ModelError("is damaged: its tensors are not those that were written", str(path))
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"doesn't hold the network that it describes: {error}", str(path)) from None
    return model.eval().requires_grad_(False)


def load_release(model: ReleasedModel) -> Codec:
    """A released network, after its digest was checked."""
    checked_weights(model)
    return load_file_release(model.path)
