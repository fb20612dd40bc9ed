"""Talking to the user: everything on stderr but what was asked for, which alone goes to stdout."""

from __future__ import annotations

import contextlib
import math
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from hac_cli import compiled
from hac_cli.cores import cores
from hac_cli.errors import HacError, OutputError, UsageError, output_errors, shown

FILE = click.Path(readable=False)  # whoever opens it tells better what is wrong with it

Command = TypeVar("Command", bound=Callable[..., Any])
Advance = Callable[[int], None]
"""Called with the number of samples (per channel) done so far."""
LONGEST_TIME = 1e12
"""Seconds; what is longer is a slip, and might be more than a float can hold."""


class Console:
    """What the options -q, -v and --debug ask for, and the output that depends on them."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.debug = False

    def show(self, text: str) -> None:
        """What a command was asked for, to stdout. Raises OutputError if it can't be written."""
        if sys.stdout is None:
            raise OutputError("is closed; give it a file or a pipe", "standard output")
        with output_errors("standard output"):
            click.echo(text)

    def say(self, text: str) -> None:
        """What is nice to know, in one line."""
        if not self.quiet:
            _to_stderr(printable(text))

    def detail(self, text: str) -> None:
        """What is nice to know for those who ask for more."""
        if self.verbose:
            self.say(text)

    def detail_engine(self, engine: str) -> None:
        """What codes: without a C compiler at installation numpy does it all, slower."""
        if engine == "numpy" and not compiled.is_there():
            engine = "numpy alone: installed without a C compiler, which makes it slower"
        self.detail(f"engine {engine}")

    def error(self, text: str) -> None:
        """What went wrong, in one line."""
        _to_stderr(f"hac: {printable(' '.join(text.splitlines()))}")

    def failure(self, error: HacError) -> None:
        if self.debug:
            _to_stderr("".join(traceback.format_exception(error)).rstrip())
        message = " ".join(error.message.split())
        self.error(f"{printable(shown(error.path))}: {message}" if error.path else message)

    @contextlib.contextmanager
    def progress(self, label: str, samples: int | None, sample_rate: int) -> Iterator[Advance | None]:
        """A progress bar on a terminal, else nothing. ``samples``: how many there will be, None if unknown."""
        if self.quiet or sys.stderr is None or not sys.stderr.isatty():
            yield None
            return
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread is needed to keep a bar alive that is updated all the time
        total = None if samples is None else samples / sample_rate
        known = "{desc} {percentage:3.0f}% |{bar}| {n:.0f} of {total:.0f} s{postfix}, {remaining} left"
        unknown = "{desc} {n:.0f} s{postfix}"
        bar_format = unknown if total is None else known
        size = {"ncols": os.get_terminal_size(2).columns or 80, "nrows": 24}  # some terminals don't know theirs
        with tqdm(total=total, desc=printable(label), bar_format=bar_format, leave=False, **size) as bar:
            started = time.perf_counter()

            def advance(done: int) -> None:
                seconds = done / sample_rate
                speed = seconds / (time.perf_counter() - started)
                bar.set_postfix_str(f"{speed:.1f}x real time", refresh=False)
                bar.update(seconds - bar.n)

            yield advance


def seconds(text: str) -> float:
    """The type of options that take a time: ``12.5``, ``40ms``, ``2s``, ``3:12.5`` or ``1:02:03``."""
    length = math.inf
    if match := re.fullmatch(r"(\d+(?:\.\d*)?)ms", text):
        length = float(match[1]) / 1000
    elif match := re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)s?", text):
        hours, minutes, rest = (float(part or 0) for part in match.groups())
        if not ((match[2] and rest >= 60) or (match[1] and minutes >= 60)):
            length = 3600 * hours + 60 * minutes + rest
    if length > LONGEST_TIME:
        raise click.BadParameter(f"{text!r} is no time; write 40ms, seconds, MM:SS or H:MM:SS")
    return length


def printable(name: str) -> str:
    """A name on one line, whatever is in it: new lines, escape sequences, bytes that are no text."""
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in name)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return repr(letter)[1:-1]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody there to read it is no reason to fail
        click.echo(text, err=True)


def engine_options(command: Command) -> Command:
    """``--threads``, ``--engine`` and ``--device``, the last two as one ``engine``, such as ``torch:cuda``."""

    def join(context: click.Context, _: click.Parameter, device: str | None) -> None:
        if device and context.params["engine"] == "numpy":
            if context.get_parameter_source("engine") == ParameterSource.COMMANDLINE:
                raise UsageError("--device is for torch; leave out --engine numpy, or the device")
            context.params["engine"] = "torch"
        if device:
            context.params["engine"] += f":{device}"

    engine = click.option("--engine", type=click.Choice(["numpy", "torch"]), default="numpy", is_eager=True,
                          help="What runs the network: numpy, which starts at once, or torch.")  # fmt: skip
    device = click.option("--device", metavar="NAME", callback=join, expose_value=False,
                          help="Run it with torch on this device, such as cuda.")  # fmt: skip
    threads = click.option("--threads", type=click.IntRange(min=1), default=lambda: min(4, cores()), metavar="N",
                           help="As many as cores, up to 4, if not given; the result is the same.")  # fmt: skip
    return engine(device(threads(command)))


def effort_options(command: Command) -> Command:
    """``--fast`` and ``--best``, as one ``effort``."""
    fast = click.option("--fast", "effort", flag_value="fast", default="normal",
                        help="Code ten times as fast, and sound worse; so does --live, and torch.")  # fmt: skip
    best = click.option("--best", "effort", flag_value="best",
                        help="Sound better for as many tokens a second: try more of them. Slow.")  # fmt: skip
    return fast(best(command))


def model_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """For a shell that completes a model's name."""
    from hac_cli.model.released import released

    return [model.name for model in released() if model.name.startswith(incomplete)]


model_option = click.option(
    "--model", metavar="NAME", shell_complete=model_names,
    help="The model to code with, one of `hac models`, which marks the usual one.",
)  # fmt: skip
"""What codes, of all commands that do."""


def common_options(command: Command) -> Command:
    """-q, -v and --debug, which may stand before the command's name as well as after it."""
    for names, text in (
        (("--debug",), "Show where in the program an error comes from."),
        (("-v", "--verbose"), "Say more."),
        (("-q", "--quiet"), "Say nothing but errors."),
    ):
        option = click.option(*names, is_flag=True, expose_value=False, callback=_remember, help=text)
        command = option(command)
    return command


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and isinstance(context.obj, Console):  # there is none while a shell completes a line
        setattr(context.obj, str(parameter.name), True)
