"""Quality of a model on a folder of clips: python benchmarks/quality.py DIR [--weights FILE] [--json FILE]

Needs `pip install '.[metrics]'`. One constant delay is removed by cross-correlation; PESQ-WB at 16 kHz, PESQ-NB at
8 kHz, STOI and ESTOI at 24 kHz, means over clips.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hac_cli.codec import load_model
from hac_cli.eval import metrics
from hac_cli.model.release import load_file_release
from hac_cli.model.stream import DecoderStream, EncoderStream

RATE = 24_000


def code(model, audio):
    """Audio [samples] through encoder and decoder; the tokens come along."""
    encoder, decoder = EncoderStream(model), DecoderStream(model)
    tokens = np.concatenate([encoder.push(audio[None]), encoder.flush()], 1)
    decoded = np.concatenate([decoder.push(tokens), decoder.flush()], 1)[0, : len(audio)]
    return decoded, tokens


def score(path: Path, model) -> tuple[dict[str, float], np.ndarray]:
    audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = soxr.resample(audio.mean(1), sample_rate, RATE)
    decoded, tokens = code(model, audio)
    x, y = metrics.align(audio, decoded, RATE // 10)
    row = {
        "pesq_wb": metrics.pesq(x, y, RATE, "wb"),
        "pesq_nb": metrics.pesq(x, y, RATE, "nb"),
        "stoi": metrics.stoi(x, y, RATE),
        "estoi": metrics.stoi(x, y, RATE, extended=True),
        "si_sdr": metrics.si_sdr(x, y),
        "level_db": metrics.level_change(x, y),
    }
    return row, tokens


def bit_entropy(tokens: np.ndarray, bits: int) -> np.ndarray:
    p = ((tokens.ravel()[:, None] >> np.arange(bits)) & 1).mean(0).clip(1e-9, 1 - 1e-9)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="v2")
    parser.add_argument("--weights", type=Path, help="a weights file instead of a released model")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model = load_file_release(arguments.weights) if arguments.weights else load_model(arguments.model)
    rows, tokens = {}, []
    for path in sorted(p for p in arguments.folder.iterdir() if p.suffix in {".flac", ".wav"}):
        rows[path.name], clip_tokens = score(path, model)
        tokens.append(clip_tokens)
        print(f"{path.name:40s} " + "  ".join(f"{k} {v:6.3f}" for k, v in rows[path.name].items()), flush=True)
    mean = {key: float(np.mean([row[key] for row in rows.values()])) for key in next(iter(rows.values()))}
    entropy = bit_entropy(np.concatenate(tokens, 1), model.config.bits_per_token)
    mean |= {"bit_entropy_mean": float(entropy.mean()), "bit_entropy_least": float(entropy.min())}
    print(f"{'mean of ' + str(len(rows)):40s} " + "  ".join(f"{k} {v:6.3f}" for k, v in mean.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps({"clips": rows, "mean": mean}, indent=1))


if __name__ == "__main__":
    main()
