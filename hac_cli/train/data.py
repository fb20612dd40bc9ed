"""Training audio: decoded once, kept in memory as int16, drawn by speaker, augmented into crops."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hac_cli.errors import InputError

SAMPLE_RATE = 24_000
HELD_OUT_SPEAKERS = 12
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"}


@dataclass
class Clip:
    """One recording: ``audio`` is int16 mono at 24 kHz."""

    path: Path
    kind: str
    speaker: str
    audio: np.ndarray

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


@dataclass
class Corpus:
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
        lines += [f"skipped {path}: {reason}" for path, reason in self.skipped]
        return "\n".join(lines)


def list_files(source: Path) -> list[tuple[Path, str, str]]:
    """Path, kind and speaker of every recording in a folder, or in a CSV manifest (``path,kind,speaker``)."""
    manifest = source / "manifest.csv" if source.is_dir() else source
    if manifest.is_file() and manifest.suffix == ".csv":
        with manifest.open(newline="", encoding="utf-8") as lines:
            return [
                (manifest.parent / row["path"], row.get("kind") or "speech", row.get("speaker") or row["path"])
                for row in csv.DictReader(lines)
            ]
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return [(path, "speech", path.parent.name) for path in files]


def decode(path: Path) -> np.ndarray:
    """A file as int16 mono at 24 kHz."""
    audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(audio.mean(1), sample_rate, SAMPLE_RATE)
    return np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)


def load(sources: list[Path], cache: Path) -> Corpus:
    """Every recording of the sources, decoded. The decoded audio is cached as ``cache/*.npy``.

    Raises InputError when nothing at all can be used.
    """
    cache.mkdir(parents=True, exist_ok=True)
    corpus = Corpus([])
    for source in sources:
        for path, kind, speaker in list_files(source):
            try:
                corpus.clips.append(Clip(path, kind, speaker, _cached(path, cache)))
            except (OSError, soundfile.LibsndfileError) as error:
                corpus.skipped.append((path, str(error)))
    if not corpus.clips:
        raise InputError("holds no audio that can be read", str(sources[0]))
    return corpus


def _cached(path: Path, cache: Path) -> np.ndarray:
    stat = path.stat()
    entry = cache / f"{path.stem}-{stat.st_size}-{stat.st_mtime_ns}.npy"
    if not entry.exists():
        partial = entry.with_suffix(".part.npy")
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


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn. Levels are RMS in dBFS; weights are shares of the crops."""

    seconds: float = 1.0
    batch: int = 8
    music: float = 0.04
    sfx: float = 0.03
    silence: float = 0.005
    noise: float = 0.12
    band_limit: float = 0.0
    level: float = -24.0
    level_spread: float = 5.0
    wide_level: float = 0.1
    level_range: tuple[float, float] = (-50.0, -8.0)


class Crops:
    """Draws batches of crops ``[B, T]`` float32. Speakers are weighted by the square root of their hours, so that
    one with much speech doesn't drown the others. Crop ``i`` of all depends on the seed and ``i`` alone, so a resumed
    run, or one in several processes, sees the same."""

    def __init__(self, corpus: Corpus, settings: CropSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.length = int(settings.seconds * SAMPLE_RATE)
        self.pools = {}
        for kind in ("speech", "music", "sfx"):
            clips = [clip for clip in corpus.of_kind(kind) if len(clip.audio) > self.length]
            if clips:
                self.pools[kind] = (clips, _speaker_weights(clips))
        if "speech" not in self.pools:
            raise InputError(f"no speech is longer than a crop of {settings.seconds} s")

    def batch(self, number: int) -> np.ndarray:
        first = number * self.settings.batch
        return np.stack([self.crop(first + i) for i in range(self.settings.batch)])

    def crop(self, index: int) -> np.ndarray:
        random = np.random.default_rng((self.seed, index))
        s = self.settings
        choice = random.random()
        if choice < s.silence:
            return (random.standard_normal(self.length) * 10 ** random.uniform(-6, -4)).astype(np.float32)
        kind = "music" if choice > 1 - s.music else "sfx" if choice > 1 - s.music - s.sfx else "speech"
        crop = self._cut(kind, random)
        if kind == "speech" and random.random() < s.noise:
            crop = crop + self._noise(random) * _rms(crop) * 10 ** (-random.uniform(3, 25) / 20)
        return self._level(crop, random)

    def _cut(self, kind: str, random: np.random.Generator) -> np.ndarray:
        clips, weights = self.pools.get(kind) or self.pools["speech"]
        clip = clips[np.searchsorted(weights, random.random())]
        start = random.integers(0, len(clip.audio) - self.length)
        return clip.audio[start : start + self.length].astype(np.float32) / 32768

    def _noise(self, random: np.random.Generator) -> np.ndarray:
        """Unit-RMS background: a sound, music, other speech, or coloured noise."""
        if random.random() < 0.5:
            cut = self._cut(random.choice(["sfx", "music", "speech"]), random)
            return cut / _rms(cut)
        spectrum = np.fft.rfft(random.standard_normal(self.length).astype(np.float32))
        slope = random.uniform(0, 1.2)
        spectrum *= np.arange(1, len(spectrum) + 1, dtype=np.float32) ** -slope
        noise = np.fft.irfft(spectrum, self.length).astype(np.float32)
        return noise / _rms(noise)

    def _level(self, crop: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Sets the RMS level of a crop; a pause that was cut alone is not lifted to the level of speech."""
        s = self.settings
        level = random.normal(s.level, s.level_spread)
        if random.random() < s.wide_level:
            level = random.uniform(*s.level_range)
        gain = min(10 ** (level / 20) / max(_rms(crop), 0.01), 0.999 / max(1e-6, float(np.abs(crop).max())))
        return (crop * gain).astype(np.float32)


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + 1e-12))


def _speaker_weights(clips: list[Clip]) -> np.ndarray:
    """Cumulative probability of each clip: √hours a speaker, shared by its clips by length."""
    seconds: dict[str, float] = {}
    for clip in clips:
        seconds[clip.speaker] = seconds.get(clip.speaker, 0.0) + clip.seconds
    weights = np.array([clip.seconds / seconds[clip.speaker] ** 0.5 for clip in clips])
    cumulative = np.cumsum(weights / weights.sum())
    cumulative[-1] = 1.0
    return cumulative
