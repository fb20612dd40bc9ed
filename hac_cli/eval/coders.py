"""Codecs behind one interface: HAC in this process, any other by the commands that run it.

``name``; ``definition``, all that the results depend on, as plain values; ``code(audio)``, mono ``[samples]`` at
24 kHz there and back, which raises HacError when that fails; ``commands``, the templates that encode and decode in
processes of their own, with the ``format``, ``sample_rate`` and ``extension`` of their files.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio import AudioReader, AudioWriter, RawFormat, Resampler
from hac_cli.errors import HacError, InputError, input_errors, reason_of
from hac_cli.eval import SAMPLE_RATE, ogg, workers
from hac_cli.model import released

Samples = NDArray[np.float32]

_HAC = f"{shlex.quote(sys.executable)} -m hac_cli"


class CodingError(HacError):
    """A codec did not do its work."""


@dataclass(frozen=True)
class Coded:
    """``audio [samples]`` is what came back at 24 kHz; a size is None where nothing tells it."""

    audio: Samples
    file_bytes: int | None
    payload_bytes: float | None


@dataclass(frozen=True)
class HacCoder:
    """A released model of HAC, or in its place the weights of a file that has not been released."""

    model: str
    weights: Path | None = None
    effort: str = "normal"
    format: str = "wav"
    sample_rate: int = SAMPLE_RATE
    extension: str = ".hac"

    @property
    def name(self) -> str:
        return f"HAC {self.model}{self._flag}"

    @property
    def definition(self) -> dict[str, Any]:
        if self.weights is None:
            digest = released.find(self.model).digest[:16]
            return {"model": self.model, "digest": digest, "effort": self.effort}
        with input_errors(str(self.weights)):
            digest = hashlib.sha256(self.weights.read_bytes()).hexdigest()[:16]
        return {"model": self.model, "weights": self.weights.name, "digest": digest, "effort": self.effort}

    @property
    def commands(self) -> tuple[str, str] | None:
        if self.weights is not None:
            return None
        return f"{self._compress} -f {{in}} {{out}}", f"{_HAC} decompress -q -f {{in}} {{out}}"

    @property
    def pipe(self) -> list[str]:
        """The command that compresses standard input to standard output."""
        return shlex.split(f"{self._compress} - -")

    @property
    def _compress(self) -> str:
        return f"{_HAC} compress -q --model {self.model}{self._flag}"

    @property
    def _flag(self) -> str:
        return "" if self.effort == "normal" else f" --{self.effort}"

    def code(self, audio: Samples) -> Coded:
        if self.weights is not None:
            return _code_unreleased(self.weights, audio, self.effort)
        from hac_cli import recordings

        raw = RawFormat.parse(f"{SAMPLE_RATE}:1:f32")
        recording, file, decoded = io.BytesIO(), io.BytesIO(), io.BytesIO()
        recording.write(audio.astype("<f4").tobytes())
        recording.seek(0)
        result = recordings.compress(recording, file, model=self.model, raw=raw, effort=self.effort)
        file.seek(0)
        recordings.decompress(file, decoded, raw=raw)
        return Coded(np.frombuffer(decoded.getvalue(), "<f4"), result.file_bytes, result.payload_bytes)


def _code_unreleased(weights: Path, audio: Samples, effort: str) -> Coded:
    """Without a file: a .hac header can only name weights that are released."""
    from hac_cli.codec import DecoderStream, EncoderStream, is_searched
    from hac_cli.conditioning import Conditioner, Restorer
    from hac_cli.model.engine import load_weights

    engine = load_weights(weights)
    encoder: Any
    if is_searched(effort):
        from hac_cli.search_stream import SearchingStream

        encoder = SearchingStream(engine, effort)  # type: ignore[arg-type]
    else:
        encoder = EncoderStream(engine)
    decoder = DecoderStream(engine)
    layout = 1, engine.config.hop_length, engine.config.look_ahead
    conditioner, restorer = Conditioner(*layout), Restorer(*layout)
    tokens = np.concatenate([encoder.push(conditioner.whole(audio[None])), encoder.flush()], 1)
    restorer.add(conditioner.gains(tokens.shape[1]))
    decoded = restorer.restore(np.concatenate([decoder.push(tokens), decoder.flush()], 1))[0, : len(audio)]
    return Coded(decoded, None, tokens.size * engine.config.bits_per_token / 8)


@dataclass(frozen=True)
class CommandCoder:
    """Any codec that two commands run; the fields are explained in baselines.toml."""

    name: str
    encode: str
    decode: str
    format: str = "wav"
    sample_rate: int = SAMPLE_RATE
    extension: str = ".bin"
    payload: str | float | None = None
    install: str = "install it, or take it out of the list of codecs"
    time_limit: float = 120.0

    @property
    def definition(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key not in ("name", "install", "time_limit")}

    @property
    def commands(self) -> tuple[str, str]:
        return self.encode, self.decode

    @property
    def missing(self) -> str | None:
        """The first program that is not installed."""
        programs = [shlex.split(command)[0] for command in (self.encode, self.decode)]
        return next((program for program in programs if shutil.which(program) is None), None)

    def code(self, audio: Samples) -> Coded:
        raw = RawFormat.parse(f"{self.sample_rate}:1:s16") if self.format == "raw" else None
        with tempfile.TemporaryDirectory(prefix="hac-bench-") as folder:
            recording, file, decoded = (
                Path(folder) / name for name in (f"in.{self.format}", f"coded{self.extension}", f"out.{self.format}")
            )
            write_recording(recording, audio, self.format, self.sample_rate)
            self._run(self.encode, recording, file)
            self._run(self.decode, file, decoded)
            return Coded(_read(decoded, raw), file.stat().st_size, self._payload(file, len(audio) / SAMPLE_RATE))

    def _run(self, command: str, source: Path, target: Path) -> None:
        arguments = fill(command, source, target)
        try:
            status, errors = run_limited(arguments, self.time_limit)
        except subprocess.TimeoutExpired:
            raise CodingError(f"{arguments[0]} was stopped after {self.time_limit:g} s; see --time-limit") from None
        except OSError as error:
            raise CodingError(f"{arguments[0]} can't be run: {reason_of(error)}") from None
        if status or not target.exists():
            said = errors.decode(errors="replace").strip().splitlines()[-1:] or ["without a word"]
            what = f"failed with exit code {status}" if status else "made no output"
            raise CodingError(f"{arguments[0]} {what}: {said[0]}")

    def _payload(self, file: Path, seconds: float) -> float | None:
        if self.payload == "file":
            return file.stat().st_size
        if self.payload == "ogg":
            try:
                return ogg.payload_bytes(file.read_bytes())
            except ValueError as error:
                raise CodingError(f"{self.name} was said to write Ogg: {error}") from None
        return None if self.payload is None else float(self.payload) * seconds / 8


Coder = HacCoder | CommandCoder


def fill(command: str, source: Path, target: Path) -> list[str]:
    """The arguments of a command template."""
    return [part.replace("{in}", str(source)).replace("{out}", str(target)) for part in shlex.split(command)]


def run_limited(arguments: list[str], time_limit: float) -> tuple[int, bytes]:
    """Exit code and stderr of a command, which is killed with all that it has started when its time is over.

    Raises subprocess.TimeoutExpired then, and OSError if it can't be started.
    """
    with subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        workers.running.add(process.pid)
        try:
            _, errors = process.communicate(timeout=time_limit)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            workers.running.discard(process.pid)
        return process.returncode, errors


def write_recording(path: Path, audio: Samples, format: str, sample_rate: int) -> None:
    """Audio at 24 kHz as a codec wants it: ``wav`` or ``raw``, 16 bit, at ``sample_rate``."""
    audio = _resample(audio, SAMPLE_RATE, sample_rate)
    raw = RawFormat.parse(f"{sample_rate}:1:s16") if format == "raw" else None
    with AudioWriter(path, sample_rate, 1, raw=raw, samples=len(audio)) as writer:
        writer.write(audio[None])


def _read(path: Path, raw: RawFormat | None) -> Samples:
    try:
        with AudioReader(path, raw) as reader:
            blocks = [block.mean(0) for block in reader]
            audio = np.concatenate([np.zeros(0, np.float32), *blocks])
            return _resample(audio, reader.sample_rate, SAMPLE_RATE)
    except InputError as error:
        raise CodingError(f"its decoder made a file that {error.message}") from None


def _resample(audio: Samples, from_rate: int, to_rate: int) -> Samples:
    resampler = Resampler(from_rate, to_rate, 1)
    return np.concatenate([resampler.process(audio[None]), resampler.flush()], 1)[0]
