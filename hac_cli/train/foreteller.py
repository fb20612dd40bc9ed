"""What of the bits can be foretold: told from those before them, a bit says less than a bit.

A network learns to guess every bit from the frames before its own and from the bits before it in its frame, as the
predictor of a release does, and the encoder learns to say what is not guessed already. The entropy of bits by
themselves doesn't see this: bits that hardly change may well be balanced.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hac_cli.model.parallel import average_
from hac_cli.model.quantizer import binarize
from hac_cli.train.checkpoint import restore
from hac_cli.train.predictor import BitNetwork, past

LOOK_BACK = 4  # frames
HIDDEN = 128
LEARNING_RATE = 3e-3


class Foreteller:
    """In each step the bits are guessed once: the encoder is told what was guessed, then the network learns."""

    def __init__(self, bits: int, device: torch.device) -> None:
        self.network = BitNetwork(bits, LOOK_BACK, HIDDEN).to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), LEARNING_RATE, weight_decay=1e-3)

    def guess(self, latents: Tensor) -> Tensor:
        """Logits ``[B, F, D]`` that the bits of latents are 1."""
        signs = binarize(latents.detach())
        logits: Tensor = self.network(past(signs, LOOK_BACK).flatten(0, 1), signs.flatten(0, 1))
        return logits.view_as(signs)

    @staticmethod
    def term(latents: Tensor, logits: Tensor) -> Tensor:
        """How far the bits, -1 or 1 and soft, are what was expected of them: the mean product, 0 at best."""
        return (torch.tanh(latents.float()) * torch.tanh(logits.detach() / 2)).mean()

    def learn(self, latents: Tensor, logits: Tensor, rate: float) -> Tensor:
        """One step of the network; gives what a bit says, in bits."""
        loss = F.binary_cross_entropy_with_logits(logits, (latents.detach() > 0).float())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_([parameter.grad for parameter in self.network.parameters() if parameter.grad is not None])
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate
        self.optimizer.step()
        return loss.detach() / math.log(2)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        restore(self.optimizer, state["optimizer"])
