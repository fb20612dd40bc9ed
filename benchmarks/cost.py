"""Time and memory of whole processes: python benchmarks/cost.py [--fast | --best] [SECONDS...]

Makes a recording of each length out of samples/speech.wav, runs `hac compress` and `hac decompress` on it, and prints
wall time, time of a core, speed and peak memory of each process: the fastest of three runs for up to a minute of audio.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

CLIP = Path(__file__).parent.parent / "samples" / "speech.wav"
HAC = [sys.executable, "-m", "hac_cli"]

STOPWATCH = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def measured(*command: str) -> tuple[float, float, float]:
    """Seconds by the clock and of a core, and peak MB of a command, run by a small process, whose own memory and start
    don't count; with modules compiled, as they are wherever hac was installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    stopwatch = [sys.executable, "-c", STOPWATCH, *command]
    result = subprocess.run(stopwatch, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    wall, core, memory = map(float, result.stdout.split())
    return wall, core, memory


def fastest(runs: int, *command: str) -> tuple[float, float, float]:
    return min(measured(*command) for _ in range(runs))


def main() -> None:
    speech, sample_rate = soundfile.read(CLIP, dtype="int16")
    print("seconds   compress: s  core, s  x real time     MB   decompress: s  core, s  x real time     MB")
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    for seconds in [float(argument) for argument in sys.argv[1:] if argument not in options] or [10.0, 60.0]:
        with tempfile.TemporaryDirectory() as folder:
            wav, hac, back = (str(Path(folder) / name) for name in ("a.wav", "a.hac", "b.wav"))
            soundfile.write(wav, np.resize(speech, int(seconds * sample_rate)), sample_rate)
            runs = 3 if seconds <= 60 else 1
            row = [
                fastest(runs, *HAC, "compress", "-qf", *options, wav, hac),
                fastest(runs, *HAC, "decompress", "-qf", hac, back),
            ]
            assert soundfile.info(back).frames == soundfile.info(wav).frames
        cells = [f"{wall:12.2f} {core:8.2f} {seconds / wall:12.1f} {memory:6.0f}" for wall, core, memory in row]
        print(f"{seconds:7.0f} {cells[0]} {cells[1]}", flush=True)


if __name__ == "__main__":
    main()
