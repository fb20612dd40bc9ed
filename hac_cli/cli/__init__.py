"""The command line. Nothing but signals is imported until a command needs it, so that ``hac`` starts at once."""

from __future__ import annotations

import os
import sys

from hac_cli.cli import signals


def main() -> int:
    """The ``hac`` command; returns its exit code, which ``hac_cli.cli.app.run`` documents."""
    signals.install()
    # numpy's matrix products are too small here to gain from threads, which wait for each other at full load
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from hac_cli.cli.app import run

    return run(sys.argv[1:])
