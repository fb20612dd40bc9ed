"""File rates with and without the entropy coding, and its speed: python benchmarks/payload.py CLIP... [--model NAME]

Rates are of whole files, in kbit/s: clip by clip, and of minutes of all clips in a row in blocks of several lengths.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hac_cli import predictors
from hac_cli.codec import encode
from hac_cli.conditioning import Conditioner
from hac_cli.container import PREDICTED, RAW, Gains, Header, Reader, Writer
from hac_cli.model import released
from hac_cli.model.released import ReleasedModel
from hac_cli.recordings import FILE_BLOCK

RATE = 24_000
BLOCKS = (75, 150, 300, 600)

Recording = tuple[np.ndarray, Gains]


def file_of(recording: Recording, model: ReleasedModel, coded: bool, frames_per_block: int | None = None) -> bytes:
    """A whole file of tokens ``[1, frames, 1]`` and their gains ``[numbers, frames]``."""
    tokens, gains = recording
    predictor = predictors.for_model(model.name) if coded else None
    header = Header(
        sample_rate=RATE, channels=1, model_id=model.model_id, weights_digest=model.short_digest,
        bits_per_token=model.config.bits_per_token, hop_length=model.config.hop_length,
        frames_per_block=frames_per_block or round(FILE_BLOCK * model.config.frame_rate),
        pre_skip=model.config.look_ahead,
        payload_coding=PREDICTED if predictor else RAW, predictor_digest=predictor.digest if predictor else None,
        tinted=True, band_limited=True,
    )  # fmt: skip
    sink = io.BytesIO()
    writer = Writer(sink, header, predictor)
    writer.write(tokens, gains)
    writer.finish(tokens.shape[1] * model.config.hop_length - model.config.look_ahead)
    return sink.getvalue()


def rates(recordings: list[Recording], model: ReleasedModel, frames_per_block: int | None = None) -> str:
    """Of all the recordings' files together."""
    seconds = sum(tokens.shape[1] for tokens, _ in recordings) / model.config.frame_rate
    raw, coded = (
        8 * sum(len(file_of(recording, model, kind, frames_per_block)) for recording in recordings) / seconds / 1000
        for kind in (False, True)
    )
    return f"{raw:.3f} raw, {coded:.3f} coded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--model", default=released.DEFAULT_MODEL)
    arguments = parser.parse_args()
    model = released.find(arguments.model)
    clips = []
    for path in arguments.clips:
        audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        conditioner = Conditioner(1, model.config.hop_length, model.config.look_ahead)
        audio = conditioner.whole(soxr.resample(audio.mean(1, keepdims=True), sample_rate, RATE).T)
        tokens = encode(audio, model=model.name)
        clips.append((tokens, conditioner.gains(tokens.shape[1])))
        print(f"{path.stem:30} {rates(clips[-1:], model)}")
    tokens, gains = (np.concatenate(parts, 1) for parts in zip(*clips, strict=True))
    minute = round(60 * model.config.frame_rate)
    starts = range(0, max(1, tokens.shape[1] - minute + 1), minute)
    minutes = [(tokens[:, start : start + minute], gains[:, start : start + minute]) for start in starts]
    for frames_per_block in BLOCKS:
        print(f"minutes in blocks of {frames_per_block}: {rates(minutes, model, frames_per_block)}")
    times = [time.process_time()]
    data = file_of(minutes[0], model, coded=True)
    times.append(time.process_time())
    assert sum(block.tokens.shape[1] for block in Reader(io.BytesIO(data), predictor=predictors.for_header))
    times.append(time.process_time())
    packing, unpacking = (minutes[0][0].shape[1] / model.config.frame_rate / taken for taken in np.diff(times))
    print(f"packing {packing:.0f}x, unpacking {unpacking:.0f}x real time, without the network")


if __name__ == "__main__":
    main()
