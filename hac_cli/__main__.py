"""``python -m hac_cli`` is ``hac``."""

import sys

from hac_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
