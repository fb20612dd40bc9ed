"""Ctrl-C, SIGTERM and a closed terminal: leave nothing behind, say so in a line, exit with 128 + the signal.

The handler ends the process instead of raising an exception, which may come up in the middle of an import or of a
callback from C, where it would be printed, swallowed, or turned into another one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from hac_cli import outputs
from hac_cli.errors import CorruptError, InputError

_on_stop: list[bytes] = []
"""What a terminal has to be told before this process ends."""

GRACE = 0.5
"""Seconds in which further signals mean the same as the first: `timeout` sends two, to the process and to its group."""

PIPE, LONG_PIPE = 1 << 16, 1 << 20
"""Bytes that a pipe usually holds, and at most, as Linux has it unless told otherwise: one second of speech, and 20."""

_MESSAGES = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal was closed"}


def install() -> None:
    """Handle what is not ignored: nohup, and scripts that start jobs in the background, mean what they say."""
    _handle([number for number in _numbers() if signal.getsignal(number) != signal.SIG_IGN], _stop)


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in _MESSAGES if hasattr(signal, name)]  # Windows has no SIGHUP


def _handle(numbers: list[int], handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in numbers:
        signal.signal(number, handler)


@contextlib.contextmanager
def hidden_cursor() -> Iterator[None]:
    """While something hides the terminal's cursor, which is shown again if the process is stopped meanwhile."""
    _on_stop.append(b"\x1b[?25h")
    try:
        yield
    finally:
        _on_stop.pop()


@contextlib.contextmanager
def ending_input(recorded: Callable[[], bool], slow: bool = False) -> Iterator[None]:
    """For a recording that comes in while it is coded, which is asked at the signal: the first one ends standard input,
    as the recorder's end would, so that what was heard is kept; the process ends as after that signal, but later. One
    that comes later stops it, of which those are warned who have to wait, since coding is ``slow``."""
    received: list[tuple[int, float]] = []
    handled = [number for number in _numbers() if signal.getsignal(number) == _stop]

    def end(number: int, frame: FrameType | None) -> None:
        if not received and not recorded():
            _stop(number, frame)
        elif not received:
            received.append((number, time.monotonic()))
            if slow:
                _tell(number, "; what was heard is still to be coded, and is lost if you interrupt again")
            _end_standard_input()
        elif time.monotonic() > received[0][1] + GRACE:
            _stop(number, frame)

    _handle(handled, end)
    try:
        yield
    except (InputError, CorruptError):
        if not received:
            raise
        _tell(received[0][0])  # it was too early for anything to be heard
        raise SystemExit(128 + received[0][0]) from None
    finally:
        # once ended by a signal, all is written, and no other may change how the process ends
        _handle(handled, signal.SIG_IGN if received else _stop)
    if received:
        number, _ = received[0]
        _tell(number, "; what was heard until then is kept")
        raise SystemExit(128 + number)


def ending_input_if(
    piped: bool, recorded: Callable[[], bool] = lambda: True, slow: bool = False
) -> contextlib.AbstractContextManager[None]:
    """``ending_input`` for what can't be heard again."""
    return ending_input(recorded, slow) if piped else contextlib.nullcontext()


def _lengthen(pipe: int) -> None:
    """Lets a pipe hold as much as it may, where the system can."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, LONG_PIPE)  # type: ignore[attr-defined, unused-ignore]


def _end_standard_input() -> None:
    """What a pipe holds now is all that will be read from it. A read that waits is begun again and sees it, too."""
    os.set_blocking(0, False)
    heard = b""
    with contextlib.suppress(OSError):
        heard = os.read(0, LONG_PIPE)
    os.set_blocking(0, True)  # others may read there, too
    reader, writer = os.pipe()
    if len(heard) > PIPE:
        _lengthen(writer)
    os.write(writer, heard)
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)


def _stop(number: int, frame: FrameType | None) -> None:
    for path in outputs.unfinished:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108  pathlib may not be loaded yet
    with contextlib.suppress(OSError):
        os.write(2, b"".join(_on_stop))
    _tell(number)
    os._exit(128 + number)


def _tell(number: int, more: str = "") -> None:
    with contextlib.suppress(OSError):
        new_line = "\n" if os.isatty(2) else ""  # a progress bar, or the terminal's own ^C, stands there
        os.write(2, f"{new_line}hac: {_MESSAGES[signal.Signals(number).name]}{more}\n".encode())
