"""-r: ``hac compress -r`` is ``hac batch compress``."""

from __future__ import annotations

import re
from typing import Any

import click

recursive_option = click.option("-r", "--recursive", is_flag=True, expose_value=False,
                                help="IN and OUT are folders: the same as `hac batch`, with its options.")  # fmt: skip


class Recursive(click.Command):
    """A command that is the one of its name in ``hac batch``, with that one's options, where its arguments have -r."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        rest = _without_recursive(args)
        if rest == args:
            return super().make_context(info_name, args, parent, **extra)
        from hac_cli.cli.batch import batch

        return batch.commands[str(self.name)].make_context(f"batch {self.name}", rest, parent, **extra)


def _without_recursive(arguments: list[str]) -> list[str]:
    """Takes out --recursive and -r, which may stand with other flags, as in -rf."""
    kept: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return kept + arguments[index:]
        if argument not in ("-r", "--recursive"):
            kept.append(re.sub(r"^(-[fqvn0]*)r(?=[fqvn0]*(j\d*)?$)", r"\1", argument))
    return kept
