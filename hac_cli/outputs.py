"""Output files, which have their names when they are complete and not before, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hac_cli.errors import HacError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_SUFFIX = 16  # of a format, which its writer goes by; a longer one is part of a name that is near the limit
unfinished: set[str] = set()
"""Temporary files of this process: whoever ends it in a hurry deletes them."""


@contextlib.contextmanager
def written(temporary: Path, final: Path, settle: Callable[[Path, Path], object]) -> Iterator[str]:
    """The path of a new file ``temporary``, which ``settle(temporary, final)`` gives its name when it is on the disk.

    What stands in its place is not touched before, and its rights go on; ``temporary`` is gone afterwards, and one of
    ``unfinished`` as long as it may be there. Raises OSError.
    """
    unfinished.add(str(temporary))
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
        unfinished.discard(str(temporary))


@contextlib.contextmanager
def replacing(target: str, settle: Callable[[Path, Path], object] = os.replace) -> Iterator[str]:
    """The path of a temporary file beside ``target``, which takes its place when the block is left in good order, so
    that a target is either complete or as it was before. Raises OSError; a HacError of the one is one of the other."""
    from pathlib import Path

    final = Path(os.path.realpath(target))  # a symbolic link stays one
    suffix = final.suffix if len(final.suffix) <= LONGEST_SUFFIX else ""
    temporary = final.with_name(f".hac-{os.urandom(4).hex()}{suffix}")
    try:
        with written(temporary, final, settle) as path:
            yield path
    except HacError as error:
        if error.path == str(temporary):
            error.path = target
        raise


def is_temporary(name: str) -> bool:
    """Whether it is the name of an output that is not complete: of a batch, of a command for a single file, or of a
    run."""
    base = name.rpartition("/")[2]
    return re.fullmatch(r"\.hac-(.*\.part|[0-9a-f]{8}(\..*)?)", base, re.DOTALL) is not None


def has_a_name(target: str) -> bool:
    """Whether a target that is there is a file that another can take the place of: not a pipe, and not one that was
    deleted, which ``/dev/fd`` still leads to."""
    return os.path.isfile(os.path.realpath(target))  # noqa: PTH113


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
