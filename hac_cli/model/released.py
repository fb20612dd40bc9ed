"""The released models: which there are, where their weights lie, and whether those are the right ones.

Weights are safetensors files in ``model/weights``; ``released.json`` beside them names each with its number in the
container's registry and its SHA-256. With them comes a predictor of the model's tokens, which makes files smaller.
Nothing here imports torch.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.errors import CorruptError, ModelError
from hac_cli.model.config import ModelConfig

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_MODEL = "v2"


@dataclass(frozen=True)
class ReleasedModel:
    """One entry of ``released.json`` with what the weights file says of itself."""

    name: str
    model_id: int
    path: Path
    digest: str
    description: str
    parameters: int
    config: ModelConfig
    predictor_digest: str | None

    @property
    def short_digest(self) -> bytes:
        """The first 8 bytes of the SHA-256 of the weights file, as a ``.hac`` header carries them."""
        return bytes.fromhex(self.digest)[:8]

    def check_layout(self, *said: int) -> None:
        """Compares what a header says of bits and tokens a frame, hop and pre-skip, all of which the model fixes.

        Raises CorruptError where they differ: the file was not made by this model.
        """
        if said != (self.config.bits_per_token, 1, self.config.hop_length, self.config.look_ahead):
            raise CorruptError(f"its header doesn't fit the model {self.name} that it names")

    @property
    def is_default(self) -> bool:
        return self.name == DEFAULT_MODEL

    @property
    def card(self) -> str:
        """What there is to know of the model, in Markdown: data, training, figures, limits."""
        return self.path.with_suffix(".md").read_text(encoding="utf-8")


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file: an 8-byte length, then JSON. Raises ModelError when it has none."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 1 << 20:
                raise ValueError("header too long")
            return dict(json.loads(file.read(length))["__metadata__"])
    except OSError as error:
        raise ModelError(f"the weights can't be read ({error.strerror}); reinstall hac-cli", str(path)) from None
    except (struct.error, TypeError, ValueError, KeyError):
        raise ModelError("is not a weights file of HAC; if it came with hac-cli, reinstall that", str(path)) from None


def read_config(path: Path) -> ModelConfig:
    """The network that a weights file says it holds. Raises ModelError for a file that others have made."""
    metadata = read_metadata(path)
    try:
        return ModelConfig.from_dict(json.loads(metadata["config"]))
    except ModelError as error:
        raise ModelError(error.message, str(path)) from None
    except (TypeError, ValueError, KeyError):
        raise ModelError("is not a weights file of HAC: it doesn't tell its network", str(path)) from None


class Tensors(Mapping[str, NDArray[np.float32]]):
    """The tensors in a safetensors file's content, each made float32 when it is asked for: coding needs one half of the
    network, and memory that is touched for the first time takes longer than the conversion."""

    def __init__(self, content: bytes) -> None:
        (length,) = struct.unpack_from("<Q", content)
        self._index: dict[str, Any] = json.loads(content[8 : 8 + length])
        self._index.pop("__metadata__", None)
        self._data = memoryview(content)[8 + length :]

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Raises ModelError for one that is not there, or not whole."""
        try:
            entry = self._index[name]
            data = self._data[slice(*entry["data_offsets"])]
            if entry["dtype"] == "BF16":  # the upper half of a float32
                values = np.left_shift(np.frombuffer(data, "<u2"), 16, dtype=np.uint32).view(np.float32)
            else:
                values = np.frombuffer(data, "<f4")
            return values.reshape(entry["shape"])
        except (KeyError, ValueError):
            raise ModelError(f"the weights don't hold the network that they describe: {name} is not whole") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)


@functools.cache
def released() -> tuple[ReleasedModel, ...]:
    """Every model that this installation can code with, the default first."""
    try:
        index: list[dict[str, Any]] = json.loads((WEIGHTS / "released.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError("the list of models can't be read; reinstall hac-cli", str(WEIGHTS)) from None
    models = [_describe(entry) for entry in index]
    return tuple(sorted(models, key=lambda model: not model.is_default))


def _describe(entry: dict[str, Any]) -> ReleasedModel:
    path = WEIGHTS / f"{entry['name']}.safetensors"
    metadata = read_metadata(path)
    return ReleasedModel(
        name=entry["name"],
        model_id=entry["model_id"],
        path=path,
        digest=entry["sha256"],
        description=entry["description"],
        parameters=int(metadata["parameters"]),
        config=read_config(path),
        predictor_digest=entry.get("predictor_sha256"),
    )


def find(name: str) -> ReleasedModel:
    """A released model by name. Raises ModelError that lists those there are."""
    for model in released():
        if model.name == name:
            return model
    raise ModelError(f"there is no model {name!r}; there are: {', '.join(m.name for m in released())}")


def find_for_file(model_id: int, weights_digest: bytes) -> ReleasedModel:
    """The model that a ``.hac`` header names. Raises ModelError for an unknown one, or when the weights that are
    installed are not those that the file was made with."""
    for model in released():
        if model.model_id == model_id:
            if model.short_digest != weights_digest:
                raise ModelError(
                    f"was made with other weights of model {model.name} ({weights_digest.hex()}, installed: "
                    f"{model.short_digest.hex()}); use the version of hac-cli that made it"
                )
            return model
    if not model_id:
        raise ModelError(f"was made with weights that have no released name ({weights_digest.hex()}), and are not here")
    raise ModelError(f"was made with model number {model_id}, which this version of hac-cli doesn't have; update it")


def read_predictor(model: ReleasedModel) -> bytes | None:
    """The predictor's file, None where the model has none. Raises ModelError when it is not the one released."""
    if model.predictor_digest is None:
        return None
    path = model.path.with_suffix(".predictor")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the predictor can't be read ({error.strerror}); reinstall hac-cli", str(path)) from None
    if hashlib.sha256(data).hexdigest() != model.predictor_digest:
        raise ModelError("the predictor is not the one that was released; reinstall hac-cli", str(path))
    return data


def read_weights(path: Path) -> bytes:
    """A weights file's content. Raises ModelError when it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"the weights can't be read ({error.strerror}); reinstall hac-cli", str(path)) from None


def checked_weights(model: ReleasedModel) -> bytes:
    """The weights file's content, after its digest was compared. Raises ModelError when it is not the one released."""
    content = read_weights(model.path)
    if hashlib.sha256(content).hexdigest() != model.digest:
        raise ModelError("the weights are not those that were released; reinstall hac-cli", str(model.path))
    return content
