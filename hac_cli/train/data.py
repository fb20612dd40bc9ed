"""Training audio: found in folders and manifests, decoded once, kept in memory as int16."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hac_cli.audio.formats import RECORDINGS
from hac_cli.errors import InputError, UsageError

SAMPLE_RATE = 24_000
HELD_OUT_SPEAKERS = 12
LISTED = 20


@dataclass(frozen=True)
class Source:
    """A folder or a CSV manifest, and how much its speakers count against those of other sources."""

    path: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Source:
        """``PATH`` or ``PATH=WEIGHT``. Raises UsageError for a weight that is not a number above 0."""
        path, equals, weight = text.rpartition("=")
        if not equals or Path(text).exists():
            return cls(Path(text))
        try:
            number = float(weight)
        except ValueError:
            number = 0.0
        if not 0 < number < float("inf"):
            raise UsageError(f"--data {text}: the weight after = has to be a number above 0")
        return cls(Path(path), number)


@dataclass
class Clip:
    """One recording: ``audio`` is int16 mono at 24 kHz."""

    path: Path
    kind: str
    speaker: str
    audio: np.ndarray
    weight: float = 1.0

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


@dataclass
class Corpus:
    """``skipped``: the files that can't be used, each with the reason."""

    clips: list[Clip]
    skipped: list[tuple[Path, str]] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Clip]:
        return [clip for clip in self.clips if clip.kind == kind]

    def report(self) -> str:
        """Hours and speakers by kind, and what was skipped and why."""
        lines = []
        for kind in sorted({clip.kind for clip in self.clips}):
            clips = self.of_kind(kind)
            hours = sum(clip.seconds for clip in clips) / 3600
            lines.append(f"{kind}: {hours:.2f} h, {len({c.speaker for c in clips})} speakers, {len(clips)} files")
        reasons = Counter(reason for _, reason in self.skipped)
        lines += [f"skipped {number} files: {reason}" for reason, number in reasons.most_common()]
        lines += [f"  {path}" for path, _ in self.skipped[:LISTED]]
        return "\n".join(lines)


def list_files(source: Path) -> list[tuple[Path, str, str, float]]:
    """Path, kind, speaker and weight of every recording in a folder (the speaker is the folder that it is in), or in
    a CSV manifest with the columns path and, where known, kind, speaker and weight.

    Raises InputError for a source that doesn't exist or a manifest that can't be read.
    """
    if not source.exists():
        raise InputError("no such folder or manifest", str(source))
    manifest = source / "manifest.csv" if source.is_dir() else source
    if manifest.is_file():
        try:
            with manifest.open(newline="", encoding="utf-8") as lines:
                return [_row(manifest.parent, row) for row in csv.DictReader(lines)]
        except (KeyError, ValueError) as error:
            raise InputError(f"is not a manifest, a CSV file with a column path: {error!r}", str(manifest)) from None
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in RECORDINGS)
    return [(path, "speech", path.parent.name, 1.0) for path in files]


def _row(folder: Path, row: dict[str, str]) -> tuple[Path, str, str, float]:
    path = row["path"]
    return folder / path, row.get("kind") or "speech", row.get("speaker") or path, float(row.get("weight") or 1)


def decode(path: Path) -> np.ndarray:
    """A file as int16 mono at 24 kHz. Raises ValueError for one without sound."""
    audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    if not len(audio):
        raise ValueError("holds no samples")
    mono = soxr.resample(audio.mean(1), sample_rate, SAMPLE_RATE)
    if not np.isfinite(mono).all():
        raise ValueError("holds samples that are not finite")
    return np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)


def load(sources: Sequence[Source], cache: Path) -> Corpus:
    """Every recording of the sources, decoded. The decoded audio is cached as ``cache/*.npy``.

    Raises InputError when a source doesn't exist or nothing at all can be used.
    """
    cache.mkdir(parents=True, exist_ok=True)
    corpus = Corpus([])
    for source in sources:
        for path, kind, speaker, weight in list_files(source.path):
            try:
                corpus.clips.append(Clip(path, kind, speaker, _cached(path, cache), weight * source.weight))
            except soundfile.LibsndfileError as error:
                corpus.skipped.append((path, f"not audio that can be read ({error.error_string})"))
            except OSError as error:
                corpus.skipped.append((path, error.strerror or str(error)))
            except ValueError as error:
                corpus.skipped.append((path, str(error)))
    if not corpus.clips:
        reason = f": {corpus.skipped[0][1]}" if corpus.skipped else ""
        raise InputError(f"holds no audio that can be read{reason}", ", ".join(str(s.path) for s in sources))
    return corpus


def _cached(path: Path, cache: Path) -> np.ndarray:
    """Keyed by name, size and content: times change with every checkout, and many files have one name."""
    with path.open("rb") as file:
        digest = hashlib.blake2b(digest_size=8)
        while part := file.read(1 << 20):
            digest.update(part)
    entry = cache / f"{path.stem}-{path.stat().st_size}-{digest.hexdigest()}.npy"
    if not entry.exists():
        partial = entry.with_suffix(f".{os.getpid()}.npy")  # another process may be decoding the same
        np.save(partial, decode(path))
        partial.replace(entry)
    return np.load(entry, mmap_mode="r")


def split(corpus: Corpus, held_out: int) -> tuple[Corpus, Corpus]:
    """Training and held-out parts: ``held_out`` speakers, but no more than one in three, spread evenly over the list,
    are kept apart whole."""
    speakers = sorted({clip.speaker for clip in corpus.of_kind("speech")})
    held_out = min(held_out, len(speakers) // 3)
    step = len(speakers) // max(1, held_out)
    kept = set(speakers[step // 2 :: step][:held_out])
    return (
        Corpus([clip for clip in corpus.clips if clip.speaker not in kept], corpus.skipped),
        Corpus([clip for clip in corpus.clips if clip.speaker in kept]),
    )
