"""Output files, which have their names when they are complete and not before, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def written(temporary: Path, final: Path, settle: Callable[[Path, Path], object], leftovers: set[str]) -> Iterator[str]:
    """The path of a new file ``temporary``, which ``settle(temporary, final)`` gives its name when it is on the disk.

    What stands in its place is not touched before, and its rights go on; ``temporary`` is gone afterwards, and is one
    of ``leftovers``, for whoever ends the process in a hurry, as long as it may be there. Raises OSError.
    """
    leftovers.add(str(temporary))
    try:
        temporary.touch(0o666, exist_ok=False)  # less the umask, as for any new file
        replaced = final.stat().st_mode if final.exists() else 0
        if replaced:
            temporary.chmod(stat.S_IMODE(replaced) | stat.S_IWUSR)  # what was private is so from the first byte on
        yield str(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if replaced:
            temporary.chmod(stat.S_IMODE(replaced))
        settle(temporary, final)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        leftovers.discard(str(temporary))


def place(temporary: Path, name: Path) -> bool:
    """Gives a file a name; False if that is taken, by a file that has appeared this very moment or before."""
    try:
        os.link(temporary, name)
    except FileExistsError:
        return False
    except OSError:  # no hard links here
        if name.exists():
            return False
        temporary.replace(name)
    return True
