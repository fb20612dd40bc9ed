"""The network as it was trained, in torch: the reference, and the way to other devices."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hac_cli.errors import UsageError
from hac_cli.model.layers import State
from hac_cli.model.network import Codec
from hac_cli.model.quantizer import to_signs, to_tokens


class TorchEngine:
    """Codes with a network in torch. Raises UsageError for a device that torch doesn't have here."""

    def __init__(self, network: Codec, device: str = "cpu") -> None:
        try:
            self.network = network.to(device)
        except (RuntimeError, AssertionError):
            raise UsageError(f"torch has no device {device!r} here; cpu always works") from None
        self.config, self.device = network.config, device

    def fresh_encoder(self, channels: int) -> State:
        return self.network.fresh_encoder(channels)

    def fresh_decoder(self, channels: int) -> State:
        return self.network.fresh_decoder(channels)

    @torch.inference_mode()
    def encode(self, audio: NDArray[np.float32], state: State) -> tuple[NDArray[np.int32], State]:
        """Audio ``[channels, samples]``, a whole number of frames, to tokens ``[channels, frames, 1]``."""
        samples = torch.from_numpy(np.array(audio, np.float32)).to(self.device)
        latents, state = self.network.encode(samples, state)
        return to_tokens(latents).to(torch.int32).cpu().numpy(), state

    @torch.inference_mode()
    def decode(self, tokens: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Tokens ``[channels, frames, 1]`` to audio ``[channels, samples]``."""
        numbers = torch.from_numpy(tokens.astype(np.int64)).to(self.device)
        audio, state = self.network.decode(to_signs(numbers, self.config.bits_per_token), state)
        return audio.cpu().numpy(), state
