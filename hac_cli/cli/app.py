"""The ``hac`` command: its subcommands, and what every one of them has in common when something goes wrong."""

from __future__ import annotations

import errno
import io
import itertools
import os
import sys
import warnings
from importlib import import_module

import click

from hac_cli.cli.console import Console, common_options
from hac_cli.errors import HacError, OutputError, UsageError

COMPLETION_VARIABLE = "_HAC_COMPLETE"
BROKEN_PIPE = 141
# A new command is a file beside this one, which holds a function of the same name, and its name here.
COMMANDS = (
    "compress", "decompress", "batch", "cut", "cat", "info", "verify", "models", "bench", "train", "export",
    "export-weights",
)  # fmt: skip


class Commands(click.Group):
    """Imports a command when it is asked for: all of them take longer to load than a second of audio to code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"hac_cli.cli.{name}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # click looks among commands that it has loaded

            near = " or ".join(get_close_matches(args[0], COMMANDS))
            raise click.UsageError(f"No such command {args[0]!r}, but {near}", ctx) if near else error from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="hac-cli", prog_name="hac", message="%(prog)s %(version)s")
@common_options
def cli() -> None:
    """HAC, a neural speech codec: recordings to .hac files of 1.35 kbit/s, and back.

    \b
    hac compress talk.wav            makes talk.hac
    hac decompress talk.hac out.wav  makes out.wav
    A file name of - is standard input or standard output.
    """


def run(arguments: list[str]) -> int:
    """Run a command line. This is where the exit code comes from:

    ==== =================================================================
    0    all went well
    1    several inputs failed for different reasons, some of a batch failed, or a fault in hac
    2    the command line makes no sense, or asks for what hac refuses
    3    an input is missing, is not audio, or ends before it should
    4    the output can't be written, or exists
    5    a .hac file is damaged, truncated, or no .hac file
    6    a model is missing, or its weights are not the right ones
    130  interrupted (143: terminated, 129: terminal closed), see signals.py
    141  whoever was reading the output has gone away
    ==== =================================================================
    """
    _open_missing_streams()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        return _run(arguments, Console())
    except BrokenPipeError:
        return BROKEN_PIPE
    finally:
        _mute_failing_streams()


def _run(arguments: list[str], console: Console) -> int:
    if not sys.warnoptions:  # what libraries warn about is no news to users
        warnings.simplefilter("ignore")
    try:
        if "" in arguments:
            raise UsageError("an argument is empty, as that of a shell's variable that is not set; - is a pipe")
        if COMPLETION_VARIABLE in os.environ:  # the shell asks what could follow
            cli.main(arguments, prog_name="hac", complete_var=COMPLETION_VARIABLE)
        with cli.make_context("hac", arguments, obj=console) as context:
            cli.invoke(context)
        return 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return UsageError.exit_code
    except click.UsageError as error:
        words = ["hac", *itertools.takewhile(COMMANDS.__contains__, arguments)]  # click forgets some contexts
        name = error.ctx.command_path if error.ctx else " ".join(words)
        console.error(f"{error.format_message().rstrip('.')}; see {name} --help")
        return UsageError.exit_code
    except BrokenPipeError:
        raise
    except HacError as error:
        console.failure(error)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # where help goes: files explain their own
            console.failure(OutputError("the disk is full; make room and start again", "standard output"))
            return OutputError.exit_code
        advice = "report what is above" if console.debug else "run it again with --debug and report what it prints"
        fault = HacError(f"unexpected {type(error).__name__}: {error}; this is a fault in hac, {advice}")
        fault.__cause__ = error
        console.failure(fault)
        return fault.exit_code


def _open_missing_streams() -> None:
    """Else a file that is opened would take the place of one that is closed, and get what libraries print."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _mute_failing_streams() -> None:
    """Python flushes these two once more at its end, and complains if that fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
