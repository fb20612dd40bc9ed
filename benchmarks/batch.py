"""What `hac batch` costs: python benchmarks/batch.py [scaling] [overhead] [memory] [estimate]

scaling    throughput of one worker and of two, on 60 clips of 10 s
overhead   what a file of 1 s costs beyond coding it, over FILES files (2,000, or as --files says)
memory     peak memory of the process that plans, at 1,000 and 50,000 files: planning alone, and a whole run in which
           every file is refused by the workers, which costs that process as much as one that succeeds
estimate   hours that a million hours of audio take on 100 machines of 16 cores at the speed of one worker here, and
           what else they need

Without a name: all. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

CLIP = Path(__file__).parent.parent / "samples" / "speech.wav"
MACHINES, CORES, HOURS = 100, 16, 1_000_000
MEASURED = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:])\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
)


def batch(*arguments: object) -> tuple[dict[str, float], float]:
    """The summary, or the plan, of `hac batch compress ARGUMENTS`; and the largest of its processes in MB."""
    command = [sys.executable, "-m", "hac_cli", "batch", "compress", "--json", *map(str, arguments)]
    result = subprocess.run([sys.executable, "-c", MEASURED, *command], capture_output=True, text=True)
    lines = [json.loads(line) for line in result.stdout.splitlines() if '"event": "summary"' in line or
             '"event": "plan"' in line]  # fmt: skip
    return lines[-1], int(result.stderr.split()[-1]) / 1024


def clips(folder: Path, number: int, seconds: float) -> Path:
    """That many different pieces of the sample."""
    speech, sample_rate = soundfile.read(CLIP, dtype="int16")
    samples = int(seconds * sample_rate)
    for index in range(number):
        path = folder / f"{index // 1000}" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.resize(np.roll(speech, -97 * index), samples), sample_rate)
    return folder


def empty_files(folder: Path, number: int) -> Path:
    for index in range(number):
        path = folder / f"{index // 1000}" / f"recording-{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def coding_speed(folder: Path) -> float:
    """Seconds of audio a second of one worker that is at work already, from what the manifest says of each file."""
    done = [json.loads(line) for line in (folder / "hac-batch.jsonl").read_text().splitlines() if '"done"' in line]
    return sum(record["seconds"] for record in done[1:]) / sum(record["took"] for record in done[1:])


def scaling(work: Path) -> None:
    source = clips(work / "clips", 60, 10)
    walls = []
    for workers in (1, 2):
        summary, _ = batch("-j", workers, source, work / f"out{workers}")
        walls.append(summary["wall"])
        print(f"{workers} worker(s): {summary['seconds']:.0f} s of audio in {summary['wall']:.1f} s, starting them "
              f"included; {coding_speed(work / f'out{workers}'):.1f}x real time each at work")  # fmt: skip
    print(f"two workers have {walls[0] / walls[1]:.2f} times the throughput of one", flush=True)


def overhead(work: Path, files: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import hac_cli

    source = clips(work / "short", files, 1)
    summary, _ = batch("-j", 1, source, work / "short-out")
    few, _ = batch("-j", 1, "--include", "?.wav", source, work / "few-out")
    paths = [source / "0" / f"{index}.wav" for index in range(min(200, files))]
    hac_cli.compress(paths[0], work / "alone.hac")
    started = time.perf_counter()
    for path in paths:
        hac_cli.compress(path, work / "alone.hac")
    alone = (time.perf_counter() - started) / len(paths)
    each = (summary["wall"] - few["wall"]) / (summary["done"] - few["done"])
    print(f"{files} files of 1 s: {1000 * each:.2f} ms a file, of which {1000 * alone:.2f} ms go on coding it: "
          f"{1000 * (each - alone):.2f} ms of overhead", flush=True)  # fmt: skip


def memory(work: Path) -> None:
    for number in (1_000, 50_000):
        source = empty_files(work / f"empty{number}", number)
        _, planning = batch("--dry-run", source, work / "none")
        code = (  # the children of the children are the workers, who don't count
            "import resource, sys; from hac_cli.cli.app import run; run(sys.argv[1:])\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        arguments = ["-q", "batch", "compress", str(source), str(work / f"empty-out{number}")]
        result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        whole = int(result.stderr.split()[-1]) / 1024
        print(f"{number} files: {planning:.1f} MB for planning, {whole:.1f} MB for the whole run", flush=True)


def estimate(work: Path) -> None:
    batch("-j", 1, clips(work / "some", 20, 10), work / "some-out")
    speed = coding_speed(work / "some-out")
    hours = HOURS / (speed * MACHINES * CORES)
    read = HOURS * 3600 * 32_000 / (hours * 3600)  # bytes a second of 16 kHz, 16 bit, mono
    print(f"one worker: {speed:.1f}x real time; {MACHINES} machines of {CORES} cores: {hours:.1f} hours for {HOURS:,}")
    print(f"to be read: {HOURS * 3600 * 32_000 / 1e12:.0f} TB of 16 kHz, 16-bit WAV, {read / 1e9:.2f} GB/s in all, "
          f"{read / MACHINES / 1e6:.0f} MB/s a machine; "
          f"to be written: {HOURS * 3600 * 1410 / 8 / 1e9:.0f} GB")  # fmt: skip
    for seconds in (10, 600):
        files = HOURS * 3600 / seconds
        print(f"files of {seconds} s: {files:,.0f}, {files / hours / 3600:.0f} a second for scheduler and manifest, "
              f"which grows to {files * 450 / 1e9:.1f} GB", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["scaling", "overhead", "memory", "estimate"])
    parser.add_argument("--files", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for what in options.what:
            if what == "overhead":
                overhead(Path(folder), options.files)
            else:
                {"scaling": scaling, "memory": memory, "estimate": estimate}[what](Path(folder))


if __name__ == "__main__":
    main()
