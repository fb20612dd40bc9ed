"""Where the network's time goes, layer by layer, and how far that is from what one core can do.

    python benchmarks/layers.py [--model NAME] [--frames N]

All for a second of audio. Operations are those of multiplications with weights, a multiplication and an addition each;
sines and the like come on top. The limit is the time that they would take at the speed of a large matrix product.
Bytes are weights, inputs and outputs, moved once a call. Of many runs of a layer the fastest counts, so that what else
runs on the machine matters little.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hac_cli import compiled
from hac_cli.codec import load_model
from hac_cli.model import released
from hac_cli.model.numpy_engine import Chain, NumpyEngine, Part
from hac_cli.model.numpy_layers import Matrix
from hac_cli.model.plan import Layer, decoder_plan, encoder_plan
from hac_cli.model.stream import FRAMES_PER_CALL

RUNS = 60


@dataclass(frozen=True)
class Cost:
    layer: str
    operations: int
    bytes: int
    seconds: float


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of many runs."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def operations_a_second(size: int = 384) -> float:
    """Of a matrix product that is large enough to be as fast as they get."""
    matrix = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    return 2 * size**3 / fastest(lambda: matrix @ matrix)


def costs(layers: list, integers: bool, plan: list[Layer], x: np.ndarray) -> Iterator[Cost]:
    """Of one call with the input ``x [steps, inputs]``, layer by layer."""
    for layer, planned in zip(layers, plan, strict=True):
        part = Part(Chain([layer], integers), 1)
        y = part(x[None])[0]
        found = list(weights_of(layer))
        weights, size = (sum(part[i] for part in found) for i in (0, 1))
        uses = min(len(x), len(y))  # of every weight: once a step, at the slower of both rates
        changes = f" to {planned.outputs}" if planned.inputs != planned.outputs else ""
        yield Cost(
            f"{planned.kind} {planned.inputs}{changes}",
            2 * uses * weights,
            x.nbytes + y.nbytes + size,
            fastest(lambda: part(x[None])),  # noqa: B023  called at once
        )
        x = y


def weights_of(layer: object) -> Iterator[tuple[int, int]]:
    """Of each array that a layer multiplies with, how many numbers and how many bytes it has."""
    for name, value in vars(layer).items():
        if isinstance(value, Matrix):
            halved = compiled.is_there() and value.halves  # which is what C reads
            yield value.weight.size, value.weight.nbytes // (2 if halved else 1)
        elif name == "taps" and isinstance(value, np.ndarray):
            yield value.size, value.nbytes


def table(title: str, rows: list[Cost], seconds: float, speed: float) -> None:
    """In Markdown; layers of one kind in a row are added up."""
    print(f"\n| {title} | Mop | MB | ms | limit, ms | of it |\n|---|---|---|---|---|---|")
    for name, group in itertools.groupby(rows, lambda cost: cost.layer):
        same = list(group)
        show(f"{len(same)} x {name}" if len(same) > 1 else name, same, seconds, speed)
    show("all", rows, seconds, speed)


def show(name: str, rows: list[Cost], seconds: float, speed: float) -> None:
    operations, size, taken = (sum(getattr(row, field) for row in rows) / seconds
                               for field in ("operations", "bytes", "seconds"))  # fmt: skip
    limit = operations / speed
    print(f"| {name} | {operations / 1e6:.1f} | {size / 1e6:.1f} | {1000 * taken:.2f} | {1000 * limit:.2f} "
          f"| {100 * limit / taken:.0f} % |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=released.DEFAULT_MODEL)
    parser.add_argument("--frames", type=int, default=FRAMES_PER_CALL, help="in a call")
    arguments = parser.parse_args()
    engine = load_model(arguments.model)
    assert isinstance(engine, NumpyEngine)
    config, random = engine.config, np.random.default_rng(0)
    seconds = arguments.frames / config.frame_rate
    audio = random.standard_normal((arguments.frames * config.hop_length, 1)).astype(np.float32)
    signs = np.sign(random.standard_normal((arguments.frames, config.bits_per_token))).astype(np.float32)
    speed = operations_a_second()
    print(f"{speed / 1e9:.0f} Gop/s at most; calls of {arguments.frames} frames; per second of audio:")
    for title, layers, plan, x in (
        ("encoder", engine.encoder_layers, encoder_plan(config), audio),
        ("decoder", engine.decoder_layers, decoder_plan(config), signs),
    ):
        rows = list(costs(layers, title == "decoder", plan, x))
        part = Part(Chain(layers, title == "decoder"), 1)
        whole = fastest(lambda: part(x[None]))  # noqa: B023  called at once
        table(title, rows, seconds, speed)
        print(f"\nThe whole {title}: {seconds / whole:.0f} times real time.")


if __name__ == "__main__":
    main()
