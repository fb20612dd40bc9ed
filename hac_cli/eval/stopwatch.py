"""Runs a command and writes its wall time in seconds and its peak memory in MB to stderr, as the last two words.

    python -I -S stopwatch.py CORES COMMAND...

A process of its own, and a small one: Linux counts what a process was before it became another program as memory of
that program, so that nothing can be measured to need less than this one does.
"""

import os
import resource
import subprocess
import sys
import time

cores = int(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = str(cores)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
started = time.perf_counter()
status = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode
wall = time.perf_counter() - started
unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
print(f"\n{wall:.6f} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit:.1f}", file=sys.stderr)
sys.exit(status)
