"""Training audio: found in folders and manifests, decoded and conditioned once, kept in memory as int16."""

from __future__ import annotations

import csv
import errno
import functools
import hashlib
import math
import os
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hac_cli import outputs
from hac_cli.audio.formats import RECORDINGS
from hac_cli.conditioning import Flattener
from hac_cli.container import CODEC_SAMPLE_RATE as SAMPLE_RATE
from hac_cli.errors import InputError, UsageError, input_errors, output_errors
from hac_cli.segments import SEGMENT_SAMPLES

KINDS = ("speech", "music", "sfx")
HELD_OUT_SPEAKERS = 12
LISTED = 20
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # says nothing about the file that was being read


def weight_of(text: str) -> float:
    """Raises ValueError for a weight that is not a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise ValueError(f"its weight is {text}; it has to be a number above 0")
    return number


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
            return cls(Path(path), weight_of(weight))
        except ValueError as error:
            raise UsageError(f"--data {text}: {error}") from None


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


def is_searched(source: Path) -> bool:
    """Whether all recordings in a folder are meant, as no manifest names them."""
    return source.is_dir() and not (source / "manifest.csv").is_file()


def list_files(source: Path) -> list[tuple[Path, str, str, float]]:
    """Path, kind, speaker and weight of every recording in a folder (the speaker is the folder that it is in), or in
    a CSV manifest with the columns path and, where known, kind, speaker and weight.

    Raises InputError for a source that can't be read or a row that can't be meant.
    """
    if not source.exists():
        raise InputError("no such folder or manifest", str(source))
    manifest = source / "manifest.csv" if source.is_dir() else source
    with input_errors(str(source)):
        if manifest.is_file():
            return _rows(manifest)
        files = sorted(path for path in source.rglob("*") if path.suffix.lower() in RECORDINGS)
    return [(path, "speech", path.parent.name, 1.0) for path in files]


def _rows(manifest: Path) -> list[tuple[Path, str, str, float]]:
    with manifest.open(newline="", encoding="utf-8-sig") as lines:  # spreadsheets write a byte order mark
        table = csv.DictReader(lines)
        try:
            if "path" not in (table.fieldnames or ()):
                raise ValueError("there is no such column")
            return [_row(manifest.parent, row) for row in table]
        except (csv.Error, ValueError) as error:
            wrong = f"line {table.line_num}: {error}"
            raise InputError(f"is not a manifest, a CSV file with a column path: {wrong}", str(manifest)) from None


def _row(folder: Path, row: dict[str, str | None]) -> tuple[Path, str, str, float]:
    path, kind = row.get("path"), row.get("kind") or "speech"
    if not path:
        raise ValueError("it has no path")
    if kind not in KINDS:
        raise ValueError(f"its kind is {kind!r}; known are {', '.join(KINDS)}")
    return folder / path, kind, row.get("speaker") or path, weight_of(row.get("weight") or "1")


def decode(path: Path) -> np.ndarray:
    """A file as int16 mono at 24 kHz. Raises ValueError for one without sound."""
    audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    if not len(audio):
        raise ValueError("holds no samples")
    mono = soxr.resample(audio.mean(1), sample_rate, SAMPLE_RATE)
    if not np.isfinite(mono).all():
        raise ValueError("holds samples that are not finite")
    return np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)


def condition(audio: np.ndarray) -> np.ndarray:
    """Int16 audio without rumble and of nearly the usual tint, as loud as before: crops set the level."""
    samples = audio[None] / np.float32(32768)
    flattener = Flattener(1, SEGMENT_SAMPLES, 0)
    tinted = np.concatenate([flattener.push(samples), flattener.flush()], 1)[0]
    gain = np.sqrt((np.square(samples).mean() + 1e-12) / (np.square(tinted).mean() + 1e-12))
    gain = min(gain, 0.99 / max(1e-6, np.abs(tinted).max()))
    return np.round(tinted * gain * 32768).astype(np.int16)


def load(sources: Sequence[Source], cache: Path) -> Corpus:
    """Every recording of the sources, decoded and conditioned. The audio is cached as ``cache/*.npy``.

    Raises InputError when a source doesn't exist or is empty, nothing at all can be used or memory is short;
    OutputError when the cache can't be written.
    """
    corpus = Corpus([])
    for source in sources:
        files = list_files(source.path)
        if not files:
            raise InputError("holds no recordings", str(source.path))
        for path, kind, speaker, weight in files:
            try:
                corpus.clips.append(Clip(path, kind, speaker, _cached(path, cache), weight * source.weight))
            except soundfile.LibsndfileError as error:
                corpus.skipped.append((path, f"not audio that can be read ({error.error_string})"))
            except OSError as error:
                if error.errno in EXHAUSTED:
                    raise InputError(f"can't be loaded: {error.strerror}; raise that limit", str(path)) from None
                corpus.skipped.append((path, error.strerror or str(error)))
            except MemoryError:
                raise InputError("doesn't fit into memory; leave it out or give less data", str(path)) from None
            except (TypeError, ValueError) as error:  # TypeError: raw samples, of which nothing is known
                corpus.skipped.append((path, str(error)))
    if not corpus.clips:
        reason = f": {corpus.skipped[0][1]}" if corpus.skipped else ""
        raise InputError(f"holds no audio that can be read{reason}", ", ".join(str(s.path) for s in sources))
    return corpus


def _cached(path: Path, cache: Path) -> np.ndarray:
    """Keyed by name, size, content and conditioning: times change with every checkout, and many files have one name."""
    with path.open("rb") as file:
        digest = hashlib.blake2b(digest_size=8)
        while part := file.read(1 << 20):
            digest.update(part)
    entry = cache / f"{path.stem}-{path.stat().st_size}-{digest.hexdigest()}-{_conditioning()}.npy"
    try:
        if entry.exists():
            return np.load(entry)  # a map would hold a descriptor
    except (EOFError, ValueError):
        pass  # not whole: a machine that crashed leaves such
    audio = condition(decode(path))
    _keep(audio, entry)
    return audio


@functools.cache
def _conditioning() -> str:
    """What changes with ``condition``: a digest of what it makes of some dull noise."""
    noise = np.random.default_rng(0).normal(0, 1000, 4 * SAMPLE_RATE)
    dull = np.convolve(noise, np.exp(-np.arange(50) / 8), "same").astype(np.int16)
    return hashlib.blake2b(condition(dull).tobytes(), digest_size=4).hexdigest()


def _keep(audio: np.ndarray, entry: Path) -> None:
    with output_errors(str(entry.parent)):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with outputs.replacing(str(entry)) as partial:  # another process may be decoding the same
            np.save(partial, audio)


def pseudonym(speaker: str) -> str:
    """What stands for a speaker in weights, which people give away."""
    return hashlib.blake2b(os.fsencode(speaker), digest_size=6).hexdigest()


def split(corpus: Corpus, held_out: int, before: Container[str] = ()) -> tuple[Corpus, Corpus]:
    """Training and held-out parts: ``held_out`` speakers, but no more than one in three, spread evenly over the list,
    are kept apart whole. First those whose ``pseudonym`` is in ``before``: what an earlier run didn't hear stays
    unheard, whatever data comes or goes."""
    speakers = sorted({clip.speaker for clip in corpus.of_kind("speech")})
    held_out = min(held_out, len(speakers) // 3)
    step = len(speakers) // max(1, held_out)
    kept = [speaker for speaker in speakers if pseudonym(speaker) in before]
    kept += [speaker for speaker in speakers[step // 2 :: step] if speaker not in kept][: max(0, held_out - len(kept))]
    return (
        Corpus([clip for clip in corpus.clips if clip.speaker not in kept], corpus.skipped),
        Corpus([clip for clip in corpus.clips if clip.speaker in kept]),
    )
