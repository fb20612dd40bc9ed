"""What a trained decoder's last filter is given at its release: the level and the highs that speech had, and silence.

A network trained on distances gives back less than it got: what it is unsure of, it leaves out. Means over speech that
was not trained on tell how much that is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hac_cli.model.layers import Up
from hac_cli.model.network import Codec
from hac_cli.train.crops import Crops

BATCHES = 25
SILENCE_SECONDS = 4
WINDOW = 1024  # 43 ms at 24 kHz
SMOOTHING = 41  # bins, about 1 kHz
RISE = (7000, 8000)  # Hz; below, louder bands cost what PESQ sees
REACH = 15  # samples to either side: the equaliser is short beside the filter's 40
TOP = 11_500  # Hz; above, resampling to 24 kHz has left what it would
FLOOR = 1e-7  # of power, 118 dB below a sine of full level


@torch.no_grad()
def match_level(model: Codec, crops: Crops) -> float:
    """Scales the output so that speech comes back at its level, in the median over crops in dB; gives the gain."""
    changes: list[float] = []
    for signals in _decoded(model, crops):
        levels = [10 * signal.square().mean(1).log10() for signal in signals]
        changes += (levels[0] - levels[1]).tolist()
    gain = -float(np.median(changes))
    _last_filter(model).mul_(10 ** (gain / 20))
    return gain


@torch.no_grad()
def match_colour(model: Codec, crops: Crops) -> float:
    """Makes the log spectrum of speech above 7 kHz, where decoders are dull, what it was in the mean; gives the mean
    gain there in dB. The last filter is convolved with that gain's response, and keeps its length."""
    losses = [_log_spectrum(target) - _log_spectrum(output) for output, target in _decoded(model, crops)]
    missing = torch.stack(losses).mean(0)
    taper = _bell(SMOOTHING)
    edges = F.pad(missing[None, None], (SMOOTHING // 2, SMOOTHING // 2), mode="replicate")
    smooth = F.conv1d(edges, taper[None, None] / taper.sum())[0, 0]
    hertz = torch.linspace(0, model.config.sample_rate / 2, len(smooth))
    smooth[hertz > TOP] = smooth[hertz <= TOP][-1]
    rise = ((hertz - RISE[0]) / (RISE[1] - RISE[0])).clamp(0, 1)
    response = torch.fft.irfft(10 ** (smooth * rise / 2)).roll(REACH)[: 2 * REACH + 1] * _bell(2 * REACH + 1)
    taps = _last_filter(model)  # [taps, 1, channels]
    taps.copy_(F.conv1d(taps.permute(2, 1, 0), response[None, None], padding=REACH).permute(2, 1, 0))
    return 10 * float(smooth[rise == 1].mean())


@torch.no_grad()
def match_silence(model: Codec) -> float:
    """Takes away what comes back of silence: a pattern that the last filter repeats at every step, which is heard as
    lines at multiples of its rate. Gives its level in dBFS, as it was. ``model`` has the weights of a release
    (``as_released``), and keeps to bfloat16."""
    pattern, last = silence(model), _last(model)
    taps = (last.weight[: last.stride, 0] + last.weight[last.stride :, 0]).double()  # [stride, channels]
    scale = model.input_scale.scale.double()
    bias = last.pointwise.bias.double()
    wanted = taps @ bias - pattern.double() / scale
    left = list(range(len(bias)))
    while left:  # the one that loses most by rounding, and then the others, which make good for it
        bias[left] += torch.linalg.pinv(taps[:, left]) @ (wanted - taps @ bias)
        left.remove(worst := max(left, key=lambda channel: float(bias[channel].abs() * taps[:, channel].norm())))
        bias[worst] = bias[worst].to(torch.bfloat16)
    last.pointwise.bias.copy_(bias)
    return 10 * float(pattern.square().mean().log10())


@torch.no_grad()
def silence(model: Codec) -> Tensor:
    """What comes back of it: the mean of what the last filter makes of a step, ``[stride]``."""
    nothing = torch.zeros(1, SILENCE_SECONDS * model.config.sample_rate)
    steps = model(nothing)[0].reshape(-1, _last(model).stride)
    return steps[len(steps) // 2 :].mean(0)


def _last(model: Codec) -> Up:
    last = model.decoder[-1]
    assert isinstance(last, Up)
    return last


def _last_filter(model: Codec) -> Tensor:
    return _last(model).weight


def _decoded(model: Codec, crops: Crops) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of what comes back, and what should."""
    delay = model.config.look_ahead
    for number in range(BATCHES):
        audio = torch.from_numpy(crops.batch(number))
        yield model(audio)[0][:, delay:], audio[:, : audio.shape[1] - delay]


def _bell(size: int) -> Tensor:
    """A symmetric Hann window without the zeros at its ends."""
    return torch.hann_window(size + 2, periodic=False)[1:-1]


def _log_spectrum(signal: Tensor) -> Tensor:
    """Mean over clips and time of log10 of the power, by bin."""
    frames = signal.unfold(1, WINDOW, WINDOW // 2) * torch.hann_window(WINDOW)
    power = torch.fft.rfft(frames).abs().square()
    return power.clamp_min(FLOOR).log10().mean((0, 1))
