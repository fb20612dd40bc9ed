"""What `hac batch` costs: python benchmarks/batch.py [scaling] [overhead] [memory] [estimate] [stops]

scaling    throughput of two workers against one, over CLIPS clips of 10 s, starting them included; and with --fast
overhead   what a file of 1 s costs one worker beyond coding it with --fast, over FILES files
memory     peak memory of the process that plans and of the largest worker, over 1,000 and MANY recordings without a
           sample, and of a second run, which finds in the manifest that nothing is left to do
estimate   hours that a million hours of audio take on 100 machines of 16 cores at the speed of a worker here while all
           cores work, and what else they need
stops      a run over the folder SOURCE that is stopped by Ctrl-C, by kill -9, and goes on to the end: are the outputs
           right, and was anything done twice?

Without a name: all. The figures are those of an idle machine; with less, they are smaller: --clips 20 --files 200
--many 2000.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

CLIP = Path(__file__).parent.parent / "samples" / "speech.wav"
MACHINES, CORES, HOURS = 100, 16, 1_000_000
BATCH = """
import re, resource, sys, time
from hac_cli.cli.app import run
run(["batch", "compress", "--json", *sys.argv[1:]])
sys.stdout.flush()
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
workers = resource.getrusage(resource.RUSAGE_CHILDREN)
print(int(peak) / 1024, workers.ru_maxrss / 1024, time.process_time(), workers.ru_utime + workers.ru_stime,
      file=sys.stderr)
"""
ALONE = """
import sys, time
import hac_cli
target, *paths = sys.argv[1:]
hac_cli.compress(paths[0], target, effort="fast")
wall, core = time.perf_counter(), time.process_time()
for path in paths:
    hac_cli.compress(path, target, effort="fast")
print((time.perf_counter() - wall) / len(paths), (time.process_time() - core) / len(paths))
"""


def batch(*arguments: object) -> dict[str, Any]:
    """The summary of `hac batch compress ARGUMENTS`, with ``planner`` and ``worker``, the peaks of the two kinds of
    processes in MB, and ``planner_seconds`` and ``worker_seconds``, their time on a core."""
    command = [sys.executable, "-c", BATCH, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    figures = map(float, result.stderr.split()[-4:])
    summary = json.loads(result.stdout.splitlines()[-1])
    return summary | dict(zip(("planner", "worker", "planner_seconds", "worker_seconds"), figures, strict=True))


def tell(what: str, figure: str, wanted: str = "") -> None:
    print(f"{what:<62} {figure:>16}  {wanted}".rstrip(), flush=True)


def clips(folder: Path, number: int, seconds: float) -> Path:
    """That many different pieces of the sample; of 0 s, recordings without a sample."""
    speech, sample_rate = soundfile.read(CLIP, dtype="int16")
    samples = int(seconds * sample_rate)
    for index in range(number):
        path = folder / f"{index // 1000}" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.resize(np.roll(speech, -97 * index), samples), sample_rate)
    return folder


def records(target: Path) -> list[dict[str, Any]]:
    """What the manifest says of every file that is done."""
    lines = (target / "hac-batch.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == "done"]


def speed_at_work(target: Path) -> float:
    """Seconds of audio a second of one worker, once it has begun."""
    done = records(target)[os.cpu_count() or 1 :]
    return float(sum(record["seconds"] for record in done) / sum(record["took"] for record in done))


def scaling(work: Path, options: argparse.Namespace) -> None:
    source = clips(work / "clips", options.clips, 10)
    for effort in ([], ["--fast"]):
        walls = []
        for workers in (1, 2):
            target = work / f"out{workers}{''.join(effort)}"
            summary = batch("-j", workers, *effort, source, target)
            walls.append(summary["wall"])
            tell(f"{options.clips} clips of 10 s, {workers} worker(s) {' '.join(effort)}",
                 f"{summary['speed']:.1f}x real time", f"each at work: {speed_at_work(target):.1f}x")  # fmt: skip
        tell("two workers against one", f"{walls[0] / walls[1]:.2f}x", "wanted: at least 1.8x")


def overhead(work: Path, options: argparse.Namespace) -> None:
    """Starting the worker is left out by means of a second batch of ten files."""
    source = clips(work / "short", options.files, 1)
    one = ("--fast", "-j", 1)
    every, few = batch(*one, source, work / "short-out"), batch(*one, "--include", "?.wav", source, work / "few")
    number = every["done"] - few["done"]
    wall, planner, worker = ((every[key] - few[key]) / number for key in ("wall", "planner_seconds", "worker_seconds"))
    alone_wall, alone_core = compress_alone([source / "0" / f"{i}.wav" for i in range(min(500, options.files))], work)
    tell(f"{options.files:,} files of 1 s, one worker, each", f"{1000 * wall:.2f} ms")
    tell("hac_cli.compress in a loop, each", f"{1000 * alone_wall:.2f} ms")
    tell("overhead of the batch, each", f"{1000 * (wall - alone_wall):.2f} ms", "wanted: under 10 ms")
    tell("of which on a core, planning and working", f"{1000 * planner:.2f}, {1000 * (worker - alone_core):.2f} ms",
         f"the process that plans serves {1 / planner:,.0f} files a second at most")  # fmt: skip


def compress_alone(paths: list[Path], work: Path) -> tuple[float, float]:
    """Seconds that a file takes without a batch, on the clock and on a core."""
    command = [sys.executable, "-c", ALONE, str(work / "alone.hac"), *map(str, paths)]
    wall, core = subprocess.check_output(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True).split()
    return float(wall), float(core)


def memory(work: Path, options: argparse.Namespace) -> None:
    for number in (1_000, options.many):
        source, target = clips(work / f"none{number}", number, 0), work / f"none-out{number}"
        first, again = batch(source, target), batch(source, target)
        assert first["done"] == number and again["done"] == 0
        tell(f"{number:,} files: peak of the process that plans, largest worker",
             f"{first['planner']:.1f}, {first['worker']:.1f} MB")  # fmt: skip
        tell(f"{number:,} files done before: peak of the process that plans", f"{again['planner']:.1f} MB",
             "wanted: no growth with the number")  # fmt: skip


def estimate(work: Path, options: argparse.Namespace) -> None:
    target = work / "some-out"
    summary = batch(clips(work / "some", options.clips, 10), target)
    speed = speed_at_work(target)
    line_bytes = (target / "hac-batch.jsonl").stat().st_size / summary["done"]
    hours = HOURS / (speed * MACHINES * CORES)
    to_read = HOURS * 3600 * 32_000  # 16 kHz, 16 bit, mono
    rate = to_read / hours / 3600
    tell(f"{HOURS:,} hours, {MACHINES} machines of {CORES} cores at {speed:.0f}x", f"{hours:.1f} hours")
    tell("to be read as 16 kHz, 16-bit WAV", f"{to_read / 1e12:.0f} TB",
         f"{rate / 1e9:.2f} GB/s in all, {rate / MACHINES / 1e6:.0f} MB/s a machine")  # fmt: skip
    tell("to be written", f"{HOURS * 3600 * summary['bitrate'] / 8 / 1e9:.0f} GB")
    for seconds in (10, 600):
        files = HOURS * 3600 / seconds
        tell(f"if they are files of {seconds} s", f"{files:,.0f}",
             f"{files / hours / 3600:,.0f} a second; a manifest of {files * line_bytes / 1e9:.0f} GB")  # fmt: skip


def stops(work: Path, options: argparse.Namespace) -> None:
    source, target = options.source or clips(work / "stopped", options.clips, 10), work / "stopped-out"
    before = 0
    for number, name in ((signal.SIGINT, "Ctrl-C"), (signal.SIGKILL, "kill -9")):
        stop_after(options.stop_after, number, source, target)
        done = len(records(target))
        tell(f"done before {name}", f"{done - before}")
        before = done
    summary = batch(source, target)
    done = records(target)
    tell("done by the last run, which found done before", f"{summary['done']}, {before}")
    tell("failed", f"{summary['failed']}")
    tell("done twice", f"{len(done) - len({record['output'] for record in done})}", "wanted: 0")
    whole = [record for record in done if sha256(target / record["output"]) == record["digest"]]
    tell("outputs with the SHA-256 of the manifest", f"{len(whole)} of {len(done)}")
    chosen = random.Random(0).sample(done, min(10, len(done)))
    same = [record for record in chosen if sha256(alone(source / record["input"], work)) == record["digest"]]
    tell("outputs that are what hac compress makes of the file", f"{len(same)} of {len(chosen)}")
    tell("files in the folder besides", f"{sum(p.is_file() for p in target.rglob('*')) - len(done) - 1}", "wanted: 0")


def stop_after(files: int, number: signal.Signals, source: Path, target: Path) -> None:
    """Starts a batch and sends it a signal when it has done so many files."""
    command = [sys.executable, "-m", "hac_cli", "batch", "compress", "--json", str(source), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            files -= '"event": "done"' in line
            if not files:
                break
        process.send_signal(number)


def alone(path: Path, work: Path) -> Path:
    subprocess.run([sys.executable, "-m", "hac_cli", "compress", "-qf", path, work / "alone.hac"], check=True)
    return work / "alone.hac"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


PARTS = {"scaling": scaling, "overhead": overhead, "memory": memory, "estimate": estimate, "stops": stops}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=list(PARTS))
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=50_000)
    parser.add_argument("--source", type=Path, help="for stops, which otherwise takes CLIPS clips")
    parser.add_argument("--stop-after", type=int, default=100, help="files that stops lets each run do")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for what in options.what:
            PARTS[what](Path(folder), options)


if __name__ == "__main__":
    main()
