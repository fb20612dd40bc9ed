"""Streams: audio in pieces of any size to tokens, and tokens to audio.

The network is always called with the same number of frames, whatever the caller's pieces: matrix products of
other sizes round differently, and a latent near zero would change its bit. So tokens depend on the audio alone.
"""

from __future__ import annotations

import functools

import numpy as np

from hac_cli.model.arrays import check_open, checked_audio, checked_tokens
from hac_cli.model.engine import Engine
from hac_cli.model.pipeline import Pipeline

FRAMES_PER_CALL = 96
"""1.3 s at 75 frames a second; longer pieces are no faster."""


def frames_for(samples: int, hop_length: int, look_ahead: int) -> int:
    """Frames that hold ``samples`` at the codec's rate: the last sample comes out ``look_ahead`` later."""
    return -(-(samples + look_ahead) // hop_length) if samples else 0


class EncoderStream:
    """Audio ``[channels, samples]`` at the codec's rate to tokens ``[channels, frames, 1]``."""

    def __init__(
        self, engine: Engine, channels: int = 1, frames_per_call: int = FRAMES_PER_CALL, threads: int = 1
    ) -> None:
        self.engine = engine
        self.network = Pipeline(engine.encoder(channels), threads)
        self.call_samples = frames_per_call * engine.config.hop_length
        self.pending = np.zeros((channels, 0), np.float32)
        self.samples = self.frames = self.calls = 0
        self.ended = False

    def push(self, audio: np.ndarray) -> np.ndarray:
        """Takes samples, gives the tokens that are complete: int32, often none. Raises as ``checked_audio``."""
        check_open(self.ended)
        audio = checked_audio(audio, len(self.pending))
        self.samples += audio.shape[1]
        return self._joined(self._consume(audio))

    def flush(self) -> np.ndarray:
        """The tokens still due: the stream is over."""
        check_open(self.ended)
        self.ended = True
        hop, done = self.engine.config.hop_length, self.frames
        frames = frames_for(self.samples, hop, self.engine.config.look_ahead)
        missing = -(-frames * hop // self.call_samples) * self.call_samples - self.calls * self.call_samples
        silence = np.zeros((len(self.pending), missing - self.pending.shape[1]), np.float32)
        return self._joined(self._consume(silence) + self.network.wait())[:, : frames - done]

    def _consume(self, audio: np.ndarray) -> list[np.ndarray]:
        audio = np.concatenate([self.pending, audio], 1) if self.pending.shape[1] else audio
        whole = audio.shape[1] - audio.shape[1] % self.call_samples
        self.pending = audio[:, whole:]
        self.calls += whole // self.call_samples
        starts = range(0, whole, self.call_samples)
        return [tokens for start in starts for tokens in self.network.push(audio[:, start : start + self.call_samples])]

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        self.frames += sum(part.shape[1] for part in parts)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.zeros((len(self.pending), 0, 1), np.int32), *parts], 1)


class DecoderStream:
    """Tokens ``[channels, frames, 1]`` to audio ``[channels, samples]`` at the codec's rate, the look-ahead's delay
    taken out. Tokens that don't start a recording are to be told where they are (``begin_at``): its noise goes on."""

    def __init__(
        self, engine: Engine, channels: int = 1, frames_per_call: int = FRAMES_PER_CALL, threads: int = 1
    ) -> None:
        self.engine = engine
        self.channels, self.threads = channels, threads
        self.frame = 0
        self.frames_per_call = frames_per_call
        self.pending = np.zeros((channels, 0, 1), np.int32)
        self.skip = engine.config.look_ahead
        self.ended = False

    def begin_at(self, frame: int) -> None:
        """Says, before the first tokens, which frame of the recording they are."""
        self.frame = frame

    @functools.cached_property
    def network(self) -> Pipeline:
        return Pipeline(self.engine.decoder(self.channels, self.frame), self.threads)

    def push(self, tokens: np.ndarray) -> np.ndarray:
        """Takes tokens, gives the samples that are complete: float32. Raises as ``checked_tokens``."""
        check_open(self.ended)
        tokens = checked_tokens(tokens, self.channels, self.engine.config.bits_per_token)
        tokens = np.concatenate([self.pending, tokens], 1)
        whole = tokens.shape[1] - tokens.shape[1] % self.frames_per_call
        self.pending = tokens[:, whole:]
        starts = range(0, whole, self.frames_per_call)
        return self._trim(
            [audio for start in starts for audio in self.network.push(tokens[:, start : start + self.frames_per_call])]
        )

    def flush(self) -> np.ndarray:
        """The samples still due. Those past the recording's end are the caller's to cut off."""
        frames = self.pending.shape[1]
        missing = self.frames_per_call - frames if frames else 0
        last = self.push(np.zeros((len(self.pending), missing, 1), np.int32))
        self.ended = True
        audio = np.concatenate([last, self._trim(self.network.wait())], 1)
        return audio[:, : max(0, audio.shape[1] - missing * self.engine.config.hop_length)]

    def _trim(self, parts: list[np.ndarray]) -> np.ndarray:
        audio = np.concatenate([np.zeros((len(self.pending), 0), np.float32), *parts], 1)
        skipped = min(self.skip, audio.shape[1])
        self.skip -= skipped
        return audio[:, skipped:]
