"""Streams: audio in pieces of any size to tokens, and tokens to audio, with the state in the caller's hands.

The network is always called with the same number of frames, whatever the caller's pieces: matrix products of
other sizes round differently, and a latent near zero would change its bit. So tokens depend on the audio alone.
"""

from __future__ import annotations

import numpy as np

from hac_cli.model.engine import Engine

FRAMES_PER_CALL = 96
"""1.3 s. Matrix products like multiples of 16: 111 times real time, where 75 and 80 frames gave 98 and 104."""


def frames_for(samples: int, hop_length: int, look_ahead: int) -> int:
    """Frames that hold ``samples`` at the codec's rate: the last sample comes out ``look_ahead`` later."""
    return -(-(samples + look_ahead) // hop_length) if samples else 0


class EncoderStream:
    """Audio ``[channels, samples]`` at the codec's rate to tokens ``[channels, frames, 1]``."""

    def __init__(self, engine: Engine, channels: int = 1, frames_per_call: int = FRAMES_PER_CALL) -> None:
        self.engine = engine
        self.state = engine.fresh_encoder(channels)
        self.call_samples = frames_per_call * engine.config.hop_length
        self.pending = np.zeros((channels, 0), np.float32)
        self.samples = self.frames = 0

    def push(self, audio: np.ndarray) -> np.ndarray:
        """Takes samples, gives the tokens that are complete: int32, often none."""
        self.samples += audio.shape[1]
        return self._consume(audio)

    def flush(self) -> np.ndarray:
        """The tokens still due: the stream is over."""
        missing = frames_for(self.samples, self.engine.config.hop_length, self.engine.config.look_ahead) - self.frames
        due = missing * self.engine.config.hop_length
        calls = -(-due // self.call_samples)
        silence = np.zeros((len(self.pending), calls * self.call_samples - self.pending.shape[1]), np.float32)
        return self._consume(silence)[:, :missing]

    def _consume(self, audio: np.ndarray) -> np.ndarray:
        audio = np.concatenate([self.pending, audio], 1) if self.pending.shape[1] else audio
        whole = audio.shape[1] - audio.shape[1] % self.call_samples
        self.pending = audio[:, whole:]
        parts = [self._call(part) for part in np.split(audio[:, :whole], whole // self.call_samples or 1, 1)]
        self.frames += sum(part.shape[1] for part in parts)
        return np.concatenate(parts, 1)

    def _call(self, audio: np.ndarray) -> np.ndarray:
        if not audio.shape[1]:
            return np.zeros((len(audio), 0, 1), np.int32)
        tokens, self.state = self.engine.encode(audio, self.state)
        return tokens


class DecoderStream:
    """Tokens ``[channels, frames, 1]`` to audio ``[channels, samples]`` at the codec's rate, the look-ahead's delay
    taken out."""

    def __init__(self, engine: Engine, channels: int = 1, frames_per_call: int = FRAMES_PER_CALL) -> None:
        self.engine = engine
        self.state = engine.fresh_decoder(channels)
        self.frames_per_call = frames_per_call
        self.pending = np.zeros((channels, 0, 1), np.int32)
        self.skip = engine.config.look_ahead

    def push(self, tokens: np.ndarray) -> np.ndarray:
        """Takes tokens, gives the samples that are complete: float32."""
        tokens = np.concatenate([self.pending, tokens], 1)
        whole = tokens.shape[1] - tokens.shape[1] % self.frames_per_call
        self.pending = tokens[:, whole:]
        calls = range(0, whole, self.frames_per_call)
        parts = [self._call(tokens[:, start : start + self.frames_per_call]) for start in calls]
        return self._trim(np.concatenate([np.zeros((len(tokens), 0), np.float32), *parts], 1))

    def flush(self) -> np.ndarray:
        """The samples of the frames that did not fill a call. Samples past the recording's end are the caller's
        to cut off."""
        frames = self.pending.shape[1]
        if not frames:
            return np.zeros((len(self.pending), 0), np.float32)
        padding = ((0, 0), (0, self.frames_per_call - frames), (0, 0))
        audio = self._call(np.pad(self.pending, padding))[:, : frames * self.engine.config.hop_length]
        self.pending = self.pending[:, :0]
        return self._trim(audio)

    def _trim(self, audio: np.ndarray) -> np.ndarray:
        skipped = min(self.skip, audio.shape[1])
        self.skip -= skipped
        return audio[:, skipped:]

    def _call(self, tokens: np.ndarray) -> np.ndarray:
        audio, self.state = self.engine.decode(tokens, self.state)
        return audio
