"""How late live audio is, measured with a clock: real time into `hac compress --live`, out of `hac decompress --live`.

    python benchmarks/live.py [SECONDS] [BLOCK_MS ...]

Feeds pieces of 10 ms at the pace of a microphone and notes when each sample comes out. "late" counts from the moment
at which a sample would have been recorded: block, algorithm, computing and pipes together. "core" is the share of one
core that both processes used while audio was flowing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

RATE = 24_000
PIECE = RATE // 100
HAC = [sys.executable, "-m", "hac_cli"]


def measure(seconds: float, block_ms: int) -> tuple[np.ndarray, list[float]]:
    """Lateness in seconds of the first sample in everything that came out, which has waited longest and is to be played
    first, and the share of a core of each process."""
    raw = ["--raw", f"{RATE}:1:s16", "--live", "-q", "-", "-"]
    sender = subprocess.Popen([*HAC, "compress", "--block", f"{block_ms}ms", *raw], stdin=-1, stdout=-1)
    listener = subprocess.Popen([*HAC, "decompress", *raw], stdin=sender.stdout, stdout=-1)
    assert sender.stdin and listener.stdout
    noise = (3000 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype("<i2").tobytes()
    warm_up = 3 * RATE  # before the clock starts, both processes have to be there
    sender.stdin.write(noise[: 2 * warm_up])
    sender.stdin.flush()
    time.sleep(3)
    arrivals: list[tuple[float, int]] = []

    def listen() -> None:
        heard = 0
        while data := os.read(listener.stdout.fileno(), 1 << 16):
            arrivals.append((time.perf_counter(), heard))
            heard += len(data) // 2

    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(1)
    before = [_cpu(process.pid) for process in (sender, listener)]
    started = time.perf_counter()
    for number, start in enumerate(range(2 * warm_up, len(noise), 2 * PIECE), 1):
        time.sleep(max(0.0, started + number * PIECE / RATE - time.perf_counter()))
        sender.stdin.write(noise[start : start + 2 * PIECE])
        sender.stdin.flush()
    took = time.perf_counter() - started
    share = [(_cpu(p.pid) - b) / took for p, b in zip((sender, listener), before, strict=True)]
    ended = time.perf_counter()
    sender.stdin.close()
    thread.join()
    late = [
        moment - (started + (heard - warm_up) / RATE)
        for moment, heard in arrivals
        if started + 0.5 < moment < ended and heard >= warm_up
    ]
    return np.array(late), share


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    for block_ms in map(int, sys.argv[2:] or ("40", "80", "200")):
        late, share = measure(seconds + 3, block_ms)
        print(
            f"blocks of {block_ms} ms: late {1000 * np.median(late):.0f} ms (median), {1000 * late.max():.0f} ms "
            f"(worst); core {100 * share[0]:.1f} % to compress, {100 * share[1]:.1f} % to decompress",
            flush=True,
        )


if __name__ == "__main__":
    main()
