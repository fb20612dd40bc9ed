"""Which file is read and which is written, and that nothing is lost whatever happens in between."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hac_cli import outputs
from hac_cli.errors import HacError, InputError, OutputError, UsageError, input_errors, output_errors

_STANDARD = "-"
_INPUT_NAMES = {_STANDARD: 0, "/dev/stdin": 0, "/dev/fd/0": 0}
_OUTPUT_NAMES = {_STANDARD: 1, "/dev/stdout": 1, "/dev/fd/1": 1}


@dataclass(frozen=True)
class Plan:
    """One input and one output that may be written; None stands for standard input and standard output. ``pipe``: the
    name of what has become standard input."""

    source: str | None
    target: str | None
    pipe: str | None = None

    @property
    def source_name(self) -> str:
        return self.source or self.pipe or "standard input"

    @property
    def target_name(self) -> str:
        return self.target or "standard output"

    @property
    def is_piped(self) -> bool:
        """Whether the input comes through standard input, from a pipe or a device."""
        return self.source is None and not is_regular(0)

    @contextlib.contextmanager
    def named_errors(self) -> Iterator[None]:
        """Errors of streams don't know a name; this adds the input's, or the output's if that is what failed."""
        try:
            yield
        except HacError as error:
            if error.path is None and type(error) is not UsageError:  # which is of the command line alone
                error.path = self.target_name if isinstance(error, OutputError) else self.source_name
            raise


def make_plan(source: str, target: str | None, extension: str, force: bool) -> Plan:
    """Find the output's name if none is given, and refuse outputs that would do harm.

    Raises UsageError if the output is the input or a terminal, or a ``.hac`` file or headerless samples by the name of
    a recording; OutputError if it exists and ``force`` is off.
    """
    if target is None:
        target = _default_target(source, extension)
    plan = Plan(None if source in _INPUT_NAMES else source, None if target in _OUTPUT_NAMES else target)
    if _is_same_file(plan):
        raise UsageError("is the input as well, which would be lost; name another output", plan.target_name)
    if plan.target is None:
        if sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("standard output is a terminal, which can't show this; name a file, or use a pipe")
        return plan
    if extension != ".wav":
        _refuse_recordings(plan.target, extension)
    if extension != ".hac" and Path(plan.target).suffix.lower() == ".hac":
        raise UsageError("is no name for a recording; give several files to hac batch decompress", target)
    if not force and stat.S_ISREG(_mode(plan.target)):
        raise OutputError("exists; overwrite it with -f, or name another output", plan.target)
    return plan


def heard_once(plan: Plan) -> Plan:
    """A pipe or a device that has a name becomes standard input, whose end is for a signal to bring. Waits for whoever
    writes to it. Raises InputError if it can't be opened."""
    if plan.source is None or sys.stdin is None:
        return plan
    if stat.S_IFMT(_mode(plan.source)) not in (stat.S_IFIFO, stat.S_IFCHR):
        return plan
    with reading(plan.source) as stream:
        os.dup2(stream.fileno(), 0)
    return Plan(None, plan.target, plan.source)


def _refuse_recordings(target: str, extension: str) -> None:
    """A shell's ``*.wav`` may put a second recording where the output's name belongs, and no recording is without the
    header of its format."""
    from hac_cli.audio.formats import RECORDINGS

    if (ending := Path(target).suffix.lower()) not in RECORDINGS:
        return
    if extension == ".raw":
        raise UsageError(f"--raw writes samples without the header that a {ending} file begins with; leave it out, or "
                         "name the output .raw", target)  # fmt: skip
    raise UsageError("is a name for a recording, and not for what is made of one; name it .hac, and give several "
                     "recordings to hac batch", target)  # fmt: skip


def _default_target(source: str, extension: str) -> str:
    """``talk.wav`` becomes ``talk.hac``, ``talk.hac`` becomes ``talk.wav``, and a pipe goes on to the next."""
    if source in _INPUT_NAMES:
        return _STANDARD
    if stat.S_IFMT(_mode(source)) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UsageError("is no regular file, so it has no name to go by; name the output", source)
    path = Path(source)
    if extension != ".hac" and path.suffix.lower() != ".hac":
        return source + extension
    from hac_cli.audio.formats import without_extension

    return without_extension(source) + extension if path.name else source


def _mode(path: str) -> int:
    """Type and permissions; 0 where there is no file, or it can't be asked, which shows when it is used."""
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def is_folder(source: str) -> bool:
    """And no name of standard input."""
    return source not in _INPUT_NAMES and stat.S_ISDIR(_mode(source))


def is_regular(descriptor: int) -> bool:
    """Whether it is open, and a file on a disk."""
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _is_same_file(plan: Plan) -> bool:
    """Whether both are one regular file, under whatever names."""
    try:
        source = os.fstat(0) if plan.source is None else Path(plan.source).stat()
        target = os.fstat(1) if plan.target is None else Path(plan.target).stat()
    except OSError:  # one of them does not exist
        return False
    return stat.S_ISREG(source.st_mode) and os.path.samestat(source, target)


def input_name(path: str) -> str:
    """What to call an input in messages."""
    return "standard input" if path in _INPUT_NAMES else path


def standard_input() -> BinaryIO:
    """Raises InputError if there is none, UsageError if somebody would have to type it."""
    if sys.stdin is None:
        raise InputError("is closed; give it a file or a pipe", "standard input")
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; name a file, or use a pipe")
    with contextlib.suppress(OSError):
        os.set_blocking(0, True)  # whoever left it otherwise: nothing there yet is not the end
    return sys.stdin.buffer


@contextlib.contextmanager
def reading(source: str | None) -> Iterator[BinaryIO]:
    """The input as a stream. Raises InputError if it can't be opened, or if the system can't read on."""
    with input_errors(source or "standard input"):
        if source is None or source in _INPUT_NAMES:
            yield standard_input()
        else:
            with Path(source).open("rb") as stream:
                yield stream


@contextlib.contextmanager
def writing(target: str | None, force: bool) -> Iterator[str | BinaryIO]:
    """Where to write: a stream for standard output and for pipes and devices, else the path of a temporary file.

    That lies beside the target and takes its place when the block is left in good order, so that a target is
    either complete or as it was before. Raises OutputError, also if a target has appeared meanwhile and ``force`` is
    off; the file then keeps a name of its own.
    """
    with output_errors(target or "standard output"):
        if target is None:
            if sys.stdout is None:
                raise OutputError("is closed; name a file", "standard output")
            yield sys.stdout.buffer
        elif _is_stream(target):
            with Path(target).open("wb") as stream:
                if stream.isatty():
                    raise UsageError("is a terminal, which can't show this; name a file, or use a pipe", target)
                yield stream
        else:
            with outputs.replacing(target, os.replace if force else _place) as temporary:
                yield temporary


def _is_stream(target: str) -> bool:
    """Whether the target is a pipe, a device, or a file without a name; OutputError if nothing can be written there."""
    mode = _mode(target)
    if target.endswith(os.sep) or stat.S_ISDIR(mode):
        raise OutputError("is a directory; name a file in it", target)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFCHR):
        raise OutputError("is neither a file nor a pipe; name another output", target)
    return mode != 0 and not outputs.has_a_name(target)


def _place(temporary: Path, final: Path) -> None:
    """Gives a file its name. If that is taken by now, it gets a similar one, and OutputError says which."""
    for number in itertools.count():
        name = final.with_name(f"{final.stem}-{number}{final.suffix}") if number else final
        if not outputs.place(temporary, name):
            continue
        if number:
            raise OutputError(f"exists by now; what was to become it is {name.name}", str(final))
        return
