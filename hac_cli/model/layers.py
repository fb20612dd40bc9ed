"""Causal layers on ``[B, T, C]``, each with an explicit state: ``(input, past) -> (output, past)``.

Every layer that looks back keeps the last ``context`` steps of its own input and nothing else; a fresh stream
starts from zeros. Offline coding and streaming are the same forward, in one call or in many.

The layout is the fast one on a CPU: pointwise convolutions are ``Linear``, depthwise ones a few shifted
multiply-adds which ``torch.compile`` fuses; ``conv1d`` with groups is many times slower, most of all backwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hac_cli.model import noise
from hac_cli.model.scaling import FeatureScale

State = tuple[Tensor, ...]


class Snake(nn.Module):
    """``x + sin²(αx)/α`` with one learned α a channel (Ziyin et al., 2020, "Neural Networks Fail to Learn Periodic
    Functions and How to Fix It")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.sin(self.alpha * x).square() / (self.alpha + 1e-6)


class Causal(nn.Module):
    """A layer whose output at a step depends on that step and the ``context`` steps before it."""

    context: int
    channels: int

    def fresh(self, batch: int, like: Tensor) -> Tensor:
        return like.new_zeros(batch, self.context, self.channels)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x ``[B, T, C]`` and past ``[B, context, C]`` give y and the next past."""
        x = torch.cat([past, x], 1)
        return self.convolve(x), x[:, x.shape[1] - self.context :]

    def convolve(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Depthwise(Causal):
    """Depthwise convolution of odd or even ``kernel``, dilated, without stride."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.kernel, self.dilation, self.channels = kernel, dilation, channels
        self.context = (kernel - 1) * dilation
        self.weight = nn.Parameter(torch.randn(kernel, channels) / math.sqrt(kernel))
        self.bias = nn.Parameter(torch.zeros(channels))

    def convolve(self, x: Tensor) -> Tensor:
        steps = x.shape[1] - self.context
        y = self.bias + x[:, :steps] * self.weight[0]
        for k in range(1, self.kernel):
            start = k * self.dilation
            y = y + x[:, start : start + steps] * self.weight[k]
        return y


class Dense(Causal):
    """Dense convolution of a few ``taps``, as a linear layer on the steps side by side, the oldest first."""

    def __init__(self, inputs: int, outputs: int, taps: int) -> None:
        super().__init__()
        self.channels, self.context = inputs, taps - 1
        linear = nn.Linear(inputs * taps, outputs)
        self.weight, self.bias = linear.weight, linear.bias

    def convolve(self, x: Tensor) -> Tensor:
        steps = x.shape[1] - self.context
        return F.linear(torch.cat([x[:, k : k + steps] for k in range(self.context + 1)], -1), self.weight, self.bias)


class Down(Causal):
    """Separable strided convolution: depthwise with kernel 2·stride and ``outputs/inputs`` filters a channel, then
    pointwise. On a single input channel the depthwise half alone is already a dense convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.channels, self.context = stride, inputs, stride
        self.multiplier = math.ceil(outputs / inputs)
        kernel = 2 * stride
        self.weight = nn.Parameter(torch.randn(kernel, inputs, self.multiplier) / math.sqrt(kernel))
        self.pointwise = nn.Linear(inputs * self.multiplier, outputs)

    def convolve(self, x: Tensor) -> Tensor:
        batch, steps, channels = x.shape
        x = x.reshape(batch, steps // self.stride, self.stride, channels)
        if channels == 1:
            pairs = torch.cat([x[:, :-1, :, 0], x[:, 1:, :, 0]], -1)
            return self.pointwise(pairs @ self.weight[:, 0])
        old, new = x[:, :-1, :, :, None], x[:, 1:, :, :, None]
        y = torch.zeros((), dtype=x.dtype, device=x.device)
        for k in range(self.stride):
            y = y + old[:, :, k] * self.weight[k] + new[:, :, k] * self.weight[self.stride + k]
        return self.pointwise(y.flatten(2))


class Up(Causal):
    """Mirror image of ``Down``: pointwise to ``multiplier`` maps an output channel, then a depthwise transposed
    convolution of kernel 2·stride that sums them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.outputs, self.channels, self.context = stride, outputs, inputs, 1
        self.multiplier = math.ceil(inputs / outputs)
        self.pointwise = nn.Linear(inputs, outputs * self.multiplier)
        scale = math.sqrt(2 * self.multiplier)
        self.weight = nn.Parameter(torch.randn(2 * stride, outputs, self.multiplier) / scale)

    def convolve(self, x: Tensor) -> Tensor:
        maps = self.pointwise(x).reshape(x.shape[0], x.shape[1], self.outputs, self.multiplier)
        old, new = maps[:, :-1], maps[:, 1:]
        if self.outputs == 1:
            pairs = torch.cat([old[:, :, 0], new[:, :, 0]], -1)
            weight = torch.cat([self.weight[self.stride :, 0], self.weight[: self.stride, 0]], -1)
            return (pairs @ weight.t()).flatten(1)[..., None]
        phases = [(new * self.weight[j] + old * self.weight[self.stride + j]).sum(-1) for j in range(self.stride)]
        return torch.stack(phases, 2).flatten(1, 2)


class Block(nn.Module):
    """Residual separable block: feature scaling, depthwise, pointwise up, Snake, pointwise down."""

    def __init__(self, channels: int, kernel: int, dilation: int, expansion: int, scale: FeatureScale) -> None:
        super().__init__()
        self.scale: nn.Module = scale  # a release has none: its weights hold it
        self.depthwise = Depthwise(channels, kernel, dilation)
        self.wide = nn.Linear(channels, expansion * channels)
        self.snake = Snake(expansion * channels)
        self.narrow = nn.Linear(expansion * channels, channels)
        self.gain = nn.Parameter(torch.full((channels,), 0.3))

    def fresh(self, batch: int, like: Tensor) -> Tensor:
        return self.depthwise.fresh(batch, like)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        y, past = self.depthwise(self.scale(x), past)
        return x + self.gain * self.narrow(self.snake(self.wide(y))), past


class Noise(nn.Module):
    """Adds noise, each channel's as much as a linear layer says, which begins at none. The state is the step in the
    noise, so that a stream that begins at a later frame hears the same."""

    values: Tensor
    signs: Tensor

    def __init__(self, channels: int, steps_per_frame: int) -> None:
        super().__init__()
        self.steps_per_frame = steps_per_frame
        self.amount = nn.Linear(channels, channels)
        nn.init.zeros_(self.amount.weight)
        nn.init.zeros_(self.amount.bias)
        for name, table in zip(("values", "signs"), noise.tables(channels), strict=True):
            self.register_buffer(name, torch.from_numpy(table), persistent=False)

    def fresh(self, batch: int, like: Tensor, frame: int = 0) -> Tensor:
        return like.new_full((batch, 1, 1), frame * self.steps_per_frame % noise.PERIOD)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        step = torch.arange(x.shape[1], device=x.device) + past[0, 0, 0].long()
        sound = self.values[step % len(self.values)] * self.signs[step % len(self.signs)]
        return x + sound * self.amount(x), (past + x.shape[1]) % noise.PERIOD


STATEFUL = (Causal, Block, Noise)


class Chain(nn.ModuleList):
    """Layers one after the other; the state is one tensor for each layer that looks back, in order."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__(layers)

    def fresh(self, batch: int, like: Tensor, frame: int = 0) -> State:
        """The state of a stream that begins at ``frame``, with nothing in front of it."""
        return tuple(
            layer.fresh(batch, like, frame) if isinstance(layer, Noise) else layer.fresh(batch, like)
            for layer in self
            if isinstance(layer, STATEFUL)
        )

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        pasts, after = iter(state), []
        for layer in self:
            if isinstance(layer, STATEFUL):
                x, past = layer(x, next(pasts))
                after.append(past)
            else:
                x = layer(x)
        return x, tuple(after)
