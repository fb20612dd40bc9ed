"""Which files of a folder are inputs, and what their outputs are called."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from hac_cli import outputs
from hac_cli.audio.formats import RECORDINGS, without_extension
from hac_cli.batch import manifest
from hac_cli.batch.job import COMPRESS, SHARD_FORMATS, Candidate, Settings
from hac_cli.batch.storage import Entry, Folder, Problem, open_folder, safe_name
from hac_cli.errors import HacError, InputError

CODED = frozenset({".hac", *(f".{name}" for name in SHARD_FORMATS)})


@dataclass
class Selection:
    """Patterns of the shell, such as ``*.wav``: those with a / are for the whole name, the others for its last part; a
    ./ in front and a / behind say nothing. ``exclude`` is for folders, and for the recordings in shards, too.

    ``names``: only these files of the folder, None for all. ``passed_over`` counts, by extension, the files that
    nothing named and that don't look like inputs.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    names: Iterable[str] | None = None
    passed_over: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.include, self.exclude = _plain(self.include), _plain(self.exclude)

    def leaves_out(self, name: str) -> bool:
        """Whether it is to be left out, or a folder that it is in."""
        return any(_matches(part, self.exclude) for part in _with_folders(name))

    def takes(self, name: str, usual: frozenset[str], never: frozenset[str]) -> bool:
        """``usual``: extensions of inputs; ``never``: those of what can't be one, whatever pattern it fits."""
        extension = posixpath.splitext(name)[1].lower()
        if self.leaves_out(name):
            return False
        if self.names is not None:
            return not self.include or _matches(name, self.include)
        if self.include:
            return extension not in never and _matches(name, self.include)
        if extension not in usual:
            self.passed_over[extension] += 1
        return extension in usual


def _with_folders(name: str) -> Iterator[str]:
    """A name, and those of the folders that it is in."""
    while name:
        yield name
        name = posixpath.dirname(name)


def _plain(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern.removeprefix("./").rstrip("/") for pattern in patterns)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    base = posixpath.basename(name)
    return any(fnmatchcase(name if "/" in pattern else base, pattern) for pattern in patterns)


def candidates(settings: Settings, selection: Selection, report: Problem) -> Iterator[Candidate]:
    """Every recording that the batch is about; ``report`` is told what can't be looked at.

    Raises UsageError for names outside of the source folder.
    """
    source, target = open_folder(settings.source), open_folder(settings.target)
    for entry in _entries(source, target, selection, report):
        base = posixpath.basename(entry.name)
        if base == manifest.NAME or outputs.is_temporary(base):
            continue
        kinds = (RECORDINGS, CODED) if settings.command == COMPRESS else (CODED, RECORDINGS)
        if selection.takes(entry.name, *kinds):
            yield from _outputs(settings, selection, source, entry, report)


def _entries(source: Folder, target: Folder, selection: Selection, report: Problem) -> Iterator[Entry]:
    if selection.names is None:
        yield from source.files(report, target, selection.leaves_out)
        return
    for given in selection.names:
        name = safe_name(given.removeprefix(f"{source.location.rstrip('/')}/"))
        found = source.find(name) or source.find(_from_here(name, source.location))
        if found is None:
            report(name, InputError("no such file"))
        else:
            yield found


def _from_here(name: str, folder: str) -> str:
    """A name in the folder that was given from the working directory, as ``find FOLDER`` prints it."""
    return name.removeprefix(f"{os.path.relpath(folder)}/")


def _outputs(
    settings: Settings, selection: Selection, source: Folder, entry: Entry, report: Problem
) -> Iterator[Candidate]:
    stem, extension = without_extension(entry.name), posixpath.splitext(entry.name)[1]
    if settings.command == COMPRESS:
        yield Candidate(entry.name, entry.size, entry.stamp, None if settings.shard_format else f"{stem}.hac")
    elif extension.lower() in CODED - {".hac"}:
        from hac_cli.batch import tokens

        try:
            with source.reading(entry.name) as path:
                if extension.lower() == ".jsonl" and manifest.is_manifest(path):
                    return
                members = tokens.paths(path)
        except HacError as error:
            report(entry.name, error)
            return
        for member, again in Counter(members).items():
            if again > 1:
                report(
                    entry.name, InputError(f"has {again} recordings of the name {member}; only the first is decoded")
                )
            try:
                name = safe_name(member)
            except HacError as error:
                report(entry.name, error)
                continue
            if selection.leaves_out(name):
                continue
            target = without_extension(name) + settings.extension
            yield Candidate(entry.name, entry.size // len(members), entry.stamp, target, member)
    else:
        yield Candidate(entry.name, entry.size, entry.stamp, f"{stem}{settings.extension}")
