"""Time and memory of whole processes: python benchmarks/cost.py [SECONDS...]

Makes a recording of each length out of samples/speech.wav, runs `hac compress` and `hac decompress` on it, and prints
wall time, speed and peak memory of each process. Threads are as OMP_NUM_THREADS says, or all cores.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

CLIP = Path(__file__).parent.parent / "samples" / "speech.wav"


def measured(*arguments: str) -> tuple[float, float]:
    """Seconds and peak MB of `hac ARGUMENTS`, run by a small process of its own, whose memory doesn't count."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "hac_cli", *arguments]
    started = time.perf_counter()
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, int(result.stdout.split()[-1]) / 1024


def main() -> None:
    speech, sample_rate = soundfile.read(CLIP, dtype="int16")
    print("seconds   compress: s  x real time     MB   decompress: s  x real time     MB")
    for seconds in [float(argument) for argument in sys.argv[1:]] or [10.0, 60.0]:
        with tempfile.TemporaryDirectory() as folder:
            wav, hac, back = (str(Path(folder) / name) for name in ("a.wav", "a.hac", "b.wav"))
            soundfile.write(wav, np.resize(speech, int(seconds * sample_rate)), sample_rate)
            row = [measured("compress", "-q", wav, hac), measured("decompress", "-q", hac, back)]
            assert soundfile.info(back).frames == soundfile.info(wav).frames
        cells = [f"{wall:12.2f} {seconds / wall:12.1f} {memory:6.0f}" for wall, memory in row]
        print(f"{seconds:7.0f} {cells[0]} {cells[1]}", flush=True)


if __name__ == "__main__":
    main()
