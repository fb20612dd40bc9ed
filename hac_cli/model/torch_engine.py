"""The network as it was trained, in torch: the reference, and the way to other devices."""

from __future__ import annotations

import numpy as np
import torch

from hac_cli.errors import UsageError
from hac_cli.model.network import Codec
from hac_cli.model.pipeline import Half
from hac_cli.model.quantizer import to_signs, to_tokens


class TorchEngine:
    """Codes with a network in torch. Raises UsageError for a device that torch doesn't have here."""

    def __init__(self, network: Codec, device: str = "cpu") -> None:
        try:
            self.network = network.to(device)
        except (RuntimeError, AssertionError):
            raise UsageError(f"torch has no device {device!r} here; cpu always works") from None
        self.config, self.device = network.config, device

    def encoder(self, channels: int) -> tuple[Half, Half]:
        state = self.network.fresh_encoder(channels)

        @torch.inference_mode()
        def encode(audio: np.ndarray) -> np.ndarray:
            nonlocal state
            samples = torch.from_numpy(np.array(audio, np.float32)).to(self.device)
            latents, state = self.network.encode(samples, state)
            return to_tokens(latents).to(torch.int32).cpu().numpy()

        return _nothing, encode

    def decoder(self, channels: int, frame: int = 0) -> tuple[Half, Half]:
        state = self.network.fresh_decoder(channels, frame)

        @torch.inference_mode()
        def decode(tokens: np.ndarray) -> np.ndarray:
            nonlocal state
            numbers = torch.from_numpy(tokens.astype(np.int64)).to(self.device)
            audio, state = self.network.decode(to_signs(numbers, self.config.bits_per_token), state)
            return audio.cpu().numpy()

        return _nothing, decode


def _nothing(piece: np.ndarray) -> np.ndarray:
    """The first half of a network that is not cut: torch has threads of its own."""
    return piece
