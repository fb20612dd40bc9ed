"""Time and memory of whole processes, for every codec in the same way: its two commands, on one core and on all.

The time for 10 s of speech is what a user waits for. What a process takes for 60 s more, without its start, is the
speed of coding.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hac_cli.cores import cores
from hac_cli.eval import SAMPLE_RATE, clips, coders, workers
from hac_cli.eval.clips import Samples
from hac_cli.eval.coders import Coder, CodingError, HacCoder
from hac_cli.eval.workers import run_all

SHORT, LONG = 10, 70
"""Seconds of the two recordings."""
_QUICK, _REPEATS = 2.0, 3
_TIME_LIMIT = 600.0
_MORE_THAN_A_HEADER = 100
_STOPWATCH = Path(__file__).with_name("stopwatch.py")


@dataclass(frozen=True)
class Speed:
    """``encode`` and ``decode`` are seconds of audio a second of computing, None where the clock can't tell;
    ``encode_short`` and ``decode_short`` seconds that the process takes for 10 s of audio; ``memory_mb`` the most that
    either takes, at least ``least_mb``, below which nothing can be measured; ``first_block`` seconds from the start of
    the process until coded audio comes out of a pipe."""

    codec: str
    cores: int
    encode: float | None = None
    decode: float | None = None
    encode_short: float | None = None
    decode_short: float | None = None
    memory_mb: float | None = None
    least_mb: float | None = None
    first_block: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Task:
    coder: Coder
    cores: int


def measure(
    folder: Path, names: Sequence[str], chosen: Sequence[Coder], progress: Callable[[str, int, int], None]
) -> list[dict[str, Any]]:
    """A line for each codec and number of cores; the audio is the folder's clips, one after the other."""
    audio = _speech(folder, names)
    tasks = [Task(coder, number) for coder in chosen if coder.commands for number in sorted({1, cores()})]
    lines = {}
    for number, (task, speed) in enumerate(run_all(partial(_measure, audio), tasks, jobs=1)):
        progress("timing", number + 1, len(tasks))
        if isinstance(speed, Exception):
            speed = Speed(task.coder.name, task.cores, error=str(speed))
        lines[task] = asdict(speed)
    return [lines[task] for task in tasks]


def _speech(folder: Path, names: Sequence[str]) -> Samples:
    parts: list[Samples] = []
    for name in names:
        parts.append(clips.load(folder / name))
        if sum(map(len, parts)) >= LONG * SAMPLE_RATE:
            break
    return np.resize(np.concatenate(parts), LONG * SAMPLE_RATE)


def _measure(audio: Samples, task: Task) -> Speed:
    """In a process of its own, which cleans up behind itself if the user stops it."""
    coder, cores = task.coder, task.cores
    least = _run(["true"], cores)[1]
    with tempfile.TemporaryDirectory(prefix="hac-bench-") as folder:
        timed = {seconds: _both_ways(coder, cores, audio, seconds, Path(folder)) for seconds in (SHORT, LONG)}
        first = _first_block(Path(folder) / f"{SHORT}.wav", coder) if isinstance(coder, HacCoder) else None
    short, long = timed[SHORT], timed[LONG]
    encode, decode = ((LONG - SHORT) / (after - before) if after > before else None
                      for before, after in zip(short[:2], long[:2], strict=True))  # fmt: skip
    return Speed(coder.name, cores, encode, decode, short[0], short[1], long[2], least, first)


def _both_ways(coder: Coder, cores: int, audio: Samples, seconds: int, folder: Path) -> tuple[float, float, float]:
    """Seconds to encode and to decode, and the peak memory in MB."""
    assert coder.commands is not None
    recording, decoded = (folder / f"{name}.{coder.format}" for name in (seconds, f"{seconds}-out"))
    file = folder / f"{seconds}{coder.extension}"
    coders.write_recording(recording, audio[: seconds * SAMPLE_RATE], coder.format, coder.sample_rate)
    encode, decode = coder.commands
    encoding = _best(coders.fill(encode, recording, file), cores)
    decoding = _best(coders.fill(decode, file, decoded), cores)
    return encoding[0], decoding[0], max(encoding[1], decoding[1])


def _best(command: list[str], cores: int) -> tuple[float, float]:
    """The least of several runs if they are short: whatever else goes on can only add to it."""
    runs = [_run(command, cores)]
    while runs[0][0] < _QUICK and len(runs) < _REPEATS:
        runs.append(_run(command, cores))
    return min(wall for wall, _ in runs), max(memory for _, memory in runs)


def _run(command: list[str], cores: int) -> tuple[float, float]:
    stopwatch = [sys.executable, "-I", "-S", str(_STOPWATCH), str(cores), *command]
    try:
        status, said = coders.run_limited(stopwatch, _TIME_LIMIT)
    except subprocess.TimeoutExpired:
        raise CodingError(f"{command[0]} was stopped after {_TIME_LIMIT:g} s") from None
    if status:
        raise CodingError(f"{command[0]} failed with exit code {status}; run it by hand to see why")
    wall, memory = said.split()[-2:]
    return float(wall), float(memory)


def _first_block(recording: Path, coder: HacCoder) -> float:
    """The recording goes into a pipe that stays open; the end of the input would bring out everything at once."""
    started = time.perf_counter()
    with subprocess.Popen(coder.pipe, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        workers.running.add(process.pid)
        assert process.stdin and process.stdout
        process.stdin.write(recording.read_bytes())
        process.stdin.flush()
        process.stdout.read(_MORE_THAN_A_HEADER)
        waited = time.perf_counter() - started
        process.kill()
        workers.running.discard(process.pid)
    return waited
