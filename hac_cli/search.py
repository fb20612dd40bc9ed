"""Analysis by synthesis: tokens chosen by what they decode to, as CELP coders choose theirs.

An encoder of one pass has to guess what its tokens will sound like together. Here the decoder is listened to: from the
encoder's latents on, a few steps down the gradient of losses on the decoded audio turn over a tenth of the bits. The
decoder and the number of tokens are the same. It takes torch, and about as long as the recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hac_cli.losses.envelope import EnvelopeLoss
from hac_cli.losses.loudness import LoudnessLoss
from hac_cli.losses.spectral import SpectralLoss, normalize_level, waveform_loss
from hac_cli.model.arrays import check_open, checked_audio
from hac_cli.model.layers import State
from hac_cli.model.network import Codec
from hac_cli.model.quantizer import binarize, on_sphere, to_tokens
from hac_cli.model.stream import frames_for

WINDOW, AHEAD, BEHIND = 3.0, 0.5, 0.5
"""Seconds that are decided at a time, that are tried with them but decided later, and that are listened to before."""

SILENT = 1e-3  # -60 dBFS: no loss tells less from nothing, so there the encoder is right
REACH = 6  # frames that a token is heard in most

STEPS = 16
RATE = 0.4  # of Adam at first
SIZE = 2.0  # RMS of a frame's latents at first: what Adam can turn over in so many steps, if all of them agree
BETAS = (0.5, 0.9)


class Listener(nn.Module):
    """What is minimized: the losses of training without discriminators, weighted on held-out speakers."""

    def __init__(self) -> None:
        super().__init__()
        self.spectral = SpectralLoss(linear=0.5, log_floor=0.001)
        self.envelope, self.loudness = EnvelopeLoss(), LoudnessLoss()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Distance of signals ``[1, T]``."""
        output, target = normalize_level(output, target)
        heard: Tensor = 4.0 * self.spectral(output, target) + 8.0 * self.envelope(output, target)
        return heard + 3.0 * self.loudness(output, target) + 5.0 * waveform_loss(output, target)


@dataclass
class _Channel:
    """One channel's stream. ``latents`` are those of frames that are not decided yet, ``due`` the audio that they
    should decode to; ``heard`` is decoded audio before it, and ``meant`` what that should have been."""

    encoder: State
    decoder: State
    latents: Tensor
    due: Tensor
    heard: Tensor
    meant: Tensor


@contextmanager
def threads_of_torch(number: int | None) -> Iterator[None]:
    """Torch computes with that many threads meanwhile; None: with those that it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class SearchingStream:
    """As ``EncoderStream``: audio ``[channels, samples]`` at the codec's rate to tokens ``[channels, frames, 1]``."""

    def __init__(self, network: Codec, channels: int = 1, threads: int | None = None) -> None:
        self.threads = threads
        self.network, self.config = network.requires_grad_(False), network.config
        self.device = network.input_scale.scale.device
        self.listener = Listener().to(self.device)
        self.window, self.ahead = (round(t * self.config.frame_rate) for t in (WINDOW, AHEAD))
        self.pending = np.zeros((channels, 0), np.float32)
        self.samples = self.frames = 0
        self.ended = False
        self.channels = [self._fresh() for _ in range(channels)]

    def _fresh(self) -> _Channel:
        def silence(*shape: int) -> Tensor:
            return torch.zeros(1, *shape, device=self.device)

        behind = round(BEHIND * self.config.sample_rate)
        return _Channel(
            self.network.fresh_encoder(1), self.network.fresh_decoder(1), silence(0, self.config.bits_per_token),
            silence(self.config.look_ahead), silence(behind), silence(behind),
        )  # fmt: skip

    def push(self, audio: np.ndarray) -> np.ndarray:
        """Takes samples, gives the tokens that are decided: int32, often none. Raises as ``checked_audio``."""
        check_open(self.ended)
        audio = checked_audio(audio, len(self.channels))
        self.samples += audio.shape[1]
        audio = np.concatenate([self.pending, audio], 1)
        parts = [np.zeros((len(audio), 0, 1), np.int32)]
        # whole windows, whatever the caller's pieces: other matrix products round differently
        while audio.shape[1] >= (needed := (self.window + self.ahead - self.undecided) * self.config.hop_length):
            self._analyse(audio[:, :needed])
            parts.append(self._decide(self.window))
            audio = audio[:, needed:]
        self.pending = audio
        return np.concatenate(parts, 1)

    def flush(self) -> np.ndarray:
        """The tokens still due: the stream is over."""
        check_open(self.ended)
        self.ended = True
        hop = self.config.hop_length
        frames = frames_for(self.samples, hop, self.config.look_ahead) - self.frames
        if not frames:
            return np.zeros((len(self.channels), 0, 1), np.int32)
        missing = max(0, (frames - self.undecided) * hop - self.pending.shape[1])
        self._analyse(np.pad(self.pending, ((0, 0), (0, missing))))
        return self._decide(frames)

    @property
    def undecided(self) -> int:
        """Frames that the encoder has seen, and that have no tokens yet."""
        return self.channels[0].latents.shape[1]

    @torch.no_grad()
    def _analyse(self, audio: np.ndarray) -> None:
        """What the encoder alone would say of whole frames."""
        for channel, samples in zip(self.channels, audio, strict=True):
            piece = torch.from_numpy(np.array(samples[None], np.float32)).to(self.device)
            latents, channel.encoder = self.network.encode(piece, channel.encoder)
            channel.latents = torch.cat([channel.latents, SIZE * on_sphere(latents)], 1)
            channel.due = torch.cat([channel.due, piece], 1)

    def _decide(self, frames: int) -> np.ndarray:
        """The next tokens of all channels."""
        self.frames += frames
        return np.concatenate([self._search(channel, frames) for channel in self.channels])

    def _search(self, channel: _Channel, frames: int) -> np.ndarray:
        """Decides ``frames``, trying whatever comes after them as well."""
        with threads_of_torch(self.threads):
            latents = self._improved(channel)
        decided, channel.latents = latents.split([frames, latents.shape[1] - frames], 1)
        with torch.no_grad():
            audio, channel.decoder = self.network.decode(binarize(decided), channel.decoder)
        behind = channel.heard.shape[1]
        channel.heard = torch.cat([channel.heard, audio], 1)[:, -behind:]
        meant, channel.due = channel.due.split([audio.shape[1], channel.due.shape[1] - audio.shape[1]], 1)
        channel.meant = torch.cat([channel.meant, meant], 1)[:, -behind:]
        return to_tokens(decided).to(torch.int32).cpu().numpy()

    def _silent(self, due: Tensor) -> Tensor:
        """Which frames ``[1, frames]`` of what is due have nothing to say."""
        peaks = due.abs().unflatten(1, (-1, self.config.hop_length)).amax(-1)
        return F.pad(peaks, (0, REACH - 1)).unfold(1, REACH, 1).amax(-1) < SILENT

    def _improved(self, channel: _Channel) -> Tensor:
        """Latents whose signs sound better, or those there were where nothing does."""
        due = channel.due[:, : channel.latents.shape[1] * self.config.hop_length]
        target, silent = torch.cat([channel.meant, due], 1), self._silent(due)
        latents = channel.latents.clone().requires_grad_()
        optimizer = torch.optim.Adam([latents], RATE, BETAS)
        best = float("inf")
        chosen = channel.latents
        for step in range(STEPS + 1):
            audio, _ = self.network.decode(binarize(latents), channel.decoder)
            loss = self.listener(torch.cat([channel.heard, audio], 1), target)
            if loss.item() < best:
                best, chosen = loss.item(), latents.detach().clone()
            if step == STEPS:
                break
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
            (gradient,) = torch.autograd.grad(loss, latents)
            latents.grad = gradient.masked_fill(silent[..., None], 0.0)
            optimizer.step()
        return chosen
