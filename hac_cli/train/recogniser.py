"""The recogniser that a search listens with, taught by Whisper.

    python -m hac_cli.train.recogniser CORPUS runs/recogniser.npz --pairs 6000 --steps 8000

``losses.recogniser`` begins with what Whisper's first and last layer have, and learns to give the features of all of
it, for recordings and for what is left of them when they are coded, by the encoder alone or by a search with the
recogniser that ships: of those, the differences count once more, since by them a search goes. A search finds what a
recogniser overlooks, so that another round with the one that came out is worth while.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hac_cli import recogniser
from hac_cli.codec import decode, encode
from hac_cli.losses.hearing import LOUDNESS_WINDOW, RECOGNISER_MELS, STEPS_PER_POSITION, mel_filters
from hac_cli.losses.recogniser import Recogniser, from_tensors
from hac_cli.losses.spectral import normalize_level
from hac_cli.losses.whisper import SAMPLE_RATE, SPEECH_LEVEL, WhisperLoss, find_checkpoint, load_encoder, slaney_filters
from hac_cli.train import data
from hac_cli.train.crops import Crops, CropSettings

CROPS = CropSettings(seconds=4.0, noise=0.3)
SEARCHED = 0.6  # share of the pairs whose second is what a search makes of it
KEPT = 0, 3  # of Whisper's layers
LOGS = 2 * math.log(10)  # from logs of magnitudes to a quarter of the decimal ones of power, Whisper's
HEARD = 32  # crops by which Whisper's input and ours are likened
LATEST = 120  # of Whisper's steps that a crop may begin at
BATCH, LEARNING_RATE, WARMUP = 8, 4e-4, 100  # pairs, at most, steps
DIFFERENCES = 2  # how much more those within pairs count than the features themselves
TOLD = 200  # steps after which it tells how it gets on
JUDGED = 50  # pairs that are not learned from


@dataclass
class Pairs:
    """Recordings and what was coded of them: ``logs [pairs, 2, steps, mels]`` and Whisper's ``features [pairs, 2,
    positions, width]``."""

    logs: Tensor
    features: Tensor


def collect(crops: Crops, pairs: int, seed: int) -> Pairs:
    """Codes so many crops."""
    teacher, ear = WhisperLoss(load_encoder(find_checkpoint())), Recogniser()
    rng = np.random.default_rng(seed)
    logs, features = [], []
    for index in range(pairs):
        crop = crops.crop(index)
        tokens = encode(crop, effort="normal" if rng.random() < SEARCHED else "fast")
        both = torch.from_numpy(np.stack([crop, decode(tokens, samples=len(crop))[0]]))
        both, _ = normalize_level(both, both)
        with torch.no_grad():
            logs.append(ear.logs(both).half())
            features.append(between(teacher.features(both)[-1], (logs[-1].shape[1] + 1) // 2).half())
    return Pairs(torch.stack(logs), torch.stack(features))


def between(features: Tensor, positions: int) -> Tensor:
    """Whisper's features ``[B, n, width]`` at the positions of ours."""
    at = (STEPS_PER_POSITION * (torch.arange(positions) + 0.5)).clamp_max(features.shape[1] - 1)
    before = at.long().clamp_max(features.shape[1] - 2)
    share = (at - before)[:, None]
    return features[:, before] * (1 - share) + features[:, before + 1] * share


def first(crops: Crops, mean: Tensor) -> Recogniser:
    """Whisper with layers left out, on our spectra, whose ``mean [mels]`` is given, as if they were its own."""
    teacher = WhisperLoss(load_encoder(find_checkpoint()))
    whole, ear = teacher.encoder, Recogniser()
    heard = torch.from_numpy(np.stack([crops.crop(index) for index in range(HEARD)]))
    heard, _ = normalize_level(heard, heard)
    usual = teacher.log_mel(teacher.resample(SPEECH_LEVEL * heard)).mean((0, 2))
    theirs, ours = (
        _centres(slaney_filters(RECOGNISER_MELS).numpy(), SAMPLE_RATE / 2),
        _centres(mel_filters(LOUDNESS_WINDOW // 2 + 1, RECOGNISER_MELS), data.SAMPLE_RATE / 2),
    )
    shares = np.stack([np.interp(theirs, ours, band) for band in np.eye(RECOGNISER_MELS)], 1)  # [theirs, ours]
    weight = whole.conv1.weight
    ear.mean.copy_(mean)
    with torch.no_grad():
        ear.conv1.weight.copy_(torch.einsum("oik,ij->ojk", weight, torch.from_numpy(shares).float()) / LOGS)
        ear.conv1.bias.copy_(whole.conv1.bias + weight.sum(-1) @ usual)  # type: ignore[union-attr, operator]
    ear.conv2.load_state_dict(whole.conv2.state_dict())
    for mine, kept in zip(ear.layers, KEPT, strict=True):
        mine.load_state_dict(whole.layers[kept].state_dict())
    ear.norm.load_state_dict(whole.norm.state_dict())
    return ear


def _centres(filters: np.ndarray, top: float) -> np.ndarray:
    """Of filters ``[bins, bands]``, in Hz."""
    hertz = np.linspace(0, top, len(filters))
    centres: np.ndarray = hertz @ filters / filters.sum(0)
    return centres


def learn(ear: Recogniser, pairs: Pairs, steps: int) -> None:
    """Tells how it gets on: what the mean square of the features' errors, and of the error of the differences within
    pairs, is of the features' variance, for pairs that are not learned from."""
    rng = np.random.default_rng(0)
    known = pairs.features[:-JUDGED:7].float()
    size = (known - known.mean((0, 1, 2))).abs().mean()
    optimizer = torch.optim.AdamW(ear.parameters(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=1e-2)
    for step in range(steps):
        rate = LEARNING_RATE * min(1, (step + 1) / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = torch.from_numpy(rng.integers(len(pairs.logs) - JUDGED, size=BATCH))
        error = _errors(ear, pairs, chosen, float(rng.integers(LATEST)))
        loss = (error.abs().mean() + DIFFERENCES * (error[:, 0] - error[:, 1]).abs().mean()) / size
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ear.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % TOLD == 0 or step + 1 == steps:
            print(f"{step + 1} steps: {_judge(ear, pairs)}", flush=True)


def _errors(ear: Recogniser, pairs: Pairs, chosen: Tensor, offset: float = 0.0) -> Tensor:
    """``[pairs, 2, positions, width]``"""
    found = ear.features(pairs.logs[chosen].float().flatten(0, 1), offset)
    return found.unflatten(0, (-1, 2)) - pairs.features[chosen].float()


@torch.no_grad()
def _judge(ear: Recogniser, pairs: Pairs) -> str:
    chosen = torch.arange(len(pairs.logs) - JUDGED, len(pairs.logs))
    error, wanted = _errors(ear, pairs, chosen), pairs.features[chosen].float()
    variance = (wanted - wanted.mean((0, 1, 2))).square().mean()
    apart, within = ((x[:, 0] - x[:, 1]).square().mean() / variance for x in (error, wanted))
    return f"{error.square().mean() / variance:.3f} of the features, {apart:.3f} of {within:.3f} of the differences"


def save(ear: Recogniser, path: Path) -> None:
    """As ``hac_cli.recogniser`` reads it: matrices in integers of 8 bits, with a scale for each output."""
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in ear.state_dict().items():
        array = tensor.movedim(1, -1).flatten(1).numpy() if tensor.ndim > 1 else tensor.numpy()
        if array.ndim > 1:
            arrays[f"{name}.scale"] = scale = np.abs(array).max(1) / np.float32(127)
            array = np.round(array / scale[:, None]).astype(np.int8)
        arrays[name] = array
    np.savez(path, **arrays)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path, help="beside it decoded audio is kept, in audio-cache")
    parser.add_argument("--pairs", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=8000, help="four a second on one core")
    parser.add_argument("--start-from", type=Path, help="a recogniser, instead of Whisper")
    options = parser.parse_args()
    corpus = data.load([data.Source.parse(str(options.corpus))], options.out.parent / "audio-cache")
    crops = Crops(data.split(corpus, data.HELD_OUT_SPEAKERS)[0], CROPS, seed=0)
    pairs = collect(crops, options.pairs, seed=0)
    if options.start_from:
        ear = from_tensors(recogniser.read_tensors(options.start_from))
    else:
        ear = first(crops, pairs.logs.float().mean((0, 1, 2)))
    learn(ear, pairs, options.steps)
    save(ear, options.out)


if __name__ == "__main__":
    main()
