"""The command line. Nothing but signals is imported until a command needs it, so that ``hac`` starts at once."""

from __future__ import annotations

import gc
import os
import sys

from hac_cli.cli import signals

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Python's own 700 make it search again and again through what imports bring, none of which is garbage."""


def main() -> int:
    """The ``hac`` command; returns its exit code, which ``hac_cli.cli.app.run`` documents."""
    signals.install()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    # numpy's matrix products are too small here to gain from threads, which wait for each other at full load
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from hac_cli.cli.app import run

    try:
        return run(sys.argv[1:])
    finally:
        gc.freeze()  # nor is there anything to gain from a search at the end
