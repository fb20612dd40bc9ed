"""The predictor of a model's tokens, learned from speech.

It ships beside the weights as ``NAME.predictor`` and makes ``.hac`` files smaller: see ``hac_cli.container.predictor``.
Every speaker gives a stretch of speech, as it comes to the network; some are held out to measure on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from hac_cli.conditioning import Conditioner
from hac_cli.container.predictor import UNIT, Predictor
from hac_cli.errors import InputError
from hac_cli.model.engine import load_weights
from hac_cli.model.stream import EncoderStream
from hac_cli.train import data

SECONDS_PER_SPEAKER = 60
BLOCK_SECONDS = 4  # of files: a block knows nothing of the one before it
LOOK_BACK, HIDDEN, EPOCHS = 4, 128, 8
BATCH = 512
LEARNING_RATE = 4e-3
HELD_OUT_SHARE = 8  # one speaker in so many

Blocks = list[np.ndarray]
"""One speaker's signs ``[frames, bits]``, 1 or -1, block by block."""


class BitNetwork(nn.Module):
    """The predictor in floating point; its weights stay within what the integers can hold."""

    def __init__(self, bits: int, look_back: int, hidden: int) -> None:
        super().__init__()
        self.past = nn.Parameter(torch.randn(hidden, look_back * bits) / (look_back * bits) ** 0.5)
        self.present = nn.Parameter(torch.randn(bits, hidden) / bits**0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Parameter(torch.randn(bits, hidden) / 16)
        self.out_bias = nn.Parameter(torch.zeros(bits))

    def forward(self, before: Tensor, signs: Tensor) -> Tensor:
        """Logits ``[frames, bits]`` of frames' signs, given the frames before each, ``[frames, look_back * bits]``."""
        start = before @ self.past.T + self.hidden_bias
        known = torch.cat([start[:, None], signs[:, :-1, None] * self.present[:-1]], 1).cumsum(1)
        return (known.relu() * self.out).sum(2) + self.out_bias

    def to_bytes(self) -> bytes:
        def integers(weights: Tensor, unit: int, limit: int) -> np.ndarray:
            return (weights.detach() * unit).round().clamp(-limit, limit).long().numpy()

        return Predictor.pack(
            integers(self.past, UNIT, 127), integers(self.present, UNIT, 127), integers(self.hidden_bias, UNIT, 32767),
            integers(self.out, UNIT, 127), integers(self.out_bias, UNIT**2, 32767),
        )  # fmt: skip


def learn(weights: Path, sources: Sequence[Path]) -> tuple[bytes, str]:
    """A predictor's file for these weights, from folders or manifests of speech, and what there is to say of it.

    Raises ModelError for weights that can't be read, InputError for data that can't be used.
    """
    speakers, skipped = encode_speakers(weights, sources)
    if len(speakers) < 2:
        raise InputError("takes two speakers at least: one to learn from and one to measure by", str(sources[0]))
    held_out = speakers[::HELD_OUT_SHARE]
    rest = [blocks for index, blocks in enumerate(speakers) if index % HELD_OUT_SHARE]
    file = train(rest, LOOK_BACK, HIDDEN, EPOCHS)
    lines = [f"skipped, no audio that can be read: {path}" for path in skipped]
    shares = f"to {share(file, rest):.4f} of raw, those held out {share(file, held_out):.4f}"
    return file, "\n".join([*lines, f"{len(speakers)} speakers; {shares}"])


def encode_speakers(weights: Path, sources: Sequence[Path]) -> tuple[list[Blocks], list[Path]]:
    """A stretch of each speaker, and the files that can't be used: their speakers are left out."""
    engine = load_weights(weights)
    config, bits = engine.config, engine.config.bits_per_token
    frames_per_block = round(BLOCK_SECONDS * config.frame_rate)
    rng = np.random.default_rng(0)
    files: dict[str, list[Path]] = {}
    for source in sources:
        for path, kind, speaker, _ in data.list_files(source):
            if kind == "speech":
                files.setdefault(speaker, []).append(path)
    speakers, skipped = [], []
    for name in rng.permutation(sorted(files)):
        path = files[name][rng.integers(len(files[name]))]
        try:
            audio = read_stretch(path, rng)
        except (soundfile.LibsndfileError, ValueError):
            skipped.append(path)
            continue
        conditioner = Conditioner(1, config.hop_length, config.look_ahead)
        stream = EncoderStream(engine)
        tokens = np.concatenate([stream.push(conditioner.whole(audio[None])), stream.flush()], 1)
        tokens = tokens[0, : len(audio) // config.hop_length]
        signs = np.where(tokens >> np.arange(bits) & 1, 1, -1)
        speakers.append(np.split(signs, range(frames_per_block, len(signs), frames_per_block)))
    return speakers, skipped


def read_stretch(path: Path, rng: np.random.Generator) -> np.ndarray:
    """Float32 mono at 24 kHz from a random place of a recording, or all of a short one. Raises ValueError for one
    without sound."""
    with soundfile.SoundFile(path) as file:
        samples = SECONDS_PER_SPEAKER * file.samplerate
        if file.frames > samples:
            file.seek(rng.integers(file.frames - samples))
        audio = file.read(samples, dtype="float32", always_2d=True).mean(1)
        if not len(audio) or not np.isfinite(audio).all():
            raise ValueError("holds no samples, or some that are not finite")
        return soxr.resample(audio, file.samplerate, data.SAMPLE_RATE)


def past(signs: Tensor, look_back: int) -> Tensor:
    """The frames before each of ``signs [..., frames, bits]``, the last one first: ``[..., frames, look_back * bits]``.
    Before the first there are zeros."""
    frames = signs.shape[-2]
    padded = nn.functional.pad(signs, (0, 0, look_back, 0))
    return torch.cat([padded[..., look_back - lag :, :][..., :frames, :] for lag in range(1, look_back + 1)], -1)


def with_past(speakers: list[Blocks], look_back: int) -> tuple[Tensor, Tensor]:
    """What is known before each frame, ``[frames, look_back * bits]``, and its signs, ``[frames, bits]``."""
    now = [torch.from_numpy(block).float() for blocks in speakers for block in blocks]
    return torch.cat([past(block, look_back) for block in now]), torch.cat(now)


def train(speakers: list[Blocks], look_back: int, hidden: int, epochs: int) -> bytes:
    """A predictor's file that is good at these signs."""
    torch.manual_seed(0)
    before, signs = with_past(speakers, look_back)
    network = BitNetwork(signs.shape[1], look_back, hidden)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-3)
    steps = epochs * (len(signs) // BATCH)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(signs)).split(BATCH)[: len(signs) // BATCH]:
            logits = network(before[chosen], signs[chosen])
            loss = binary_cross_entropy_with_logits(logits, (signs[chosen] + 1) / 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
    return network.to_bytes()


def share(file: bytes, speakers: list[Blocks]) -> float:
    """Coded size of these signs by their raw size, by the integers themselves; without a block's rounding to bytes."""
    predictor = Predictor.from_bytes(file)
    bits = coded = 0.0
    for blocks in speakers:
        for block in blocks:
            ones = predictor.predict(block.astype(np.int64)) / 65536
            coded -= np.log2(np.where(block > 0, ones, 1 - ones)).sum()
            bits += block.size
    return coded / bits
