"""The command line. Nothing but signals is imported until a command needs it, so that ``hac`` starts at once."""

from __future__ import annotations

import sys

from hac_cli.cli import signals


def main() -> int:
    """The ``hac`` command; returns its exit code, which ``hac_cli.cli.app.run`` documents."""
    signals.install()
    from hac_cli.cli.app import run

    return run(sys.argv[1:])
