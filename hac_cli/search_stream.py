"""A stream from audio to the tokens that decode best: passages of it, searched beside each other."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from hac_cli.listener import Listener
from hac_cli.model.arrays import check_open, checked_audio
from hac_cli.model.gradient import Decoder
from hac_cli.model.numpy_engine import NumpyEngine
from hac_cli.model.stream import frames_for
from hac_cli.search import EFFORTS, SIZE, Array, Passage, best_latents, signs_of

AHEAD, BEHIND = 0.5, 1.0
"""Seconds that a search tries but leaves to the next, and that it listens to before those that it decides."""


class _Channel:
    """One channel's stream through the encoder and, as the encoder alone would have it, the decoder."""

    def __init__(self, engine: NumpyEngine, decoder: Decoder) -> None:
        config = engine.config
        self.analyser, self.decoder = engine.analyser(1), decoder
        behind = np.zeros(round(BEHIND * config.sample_rate), np.float32)
        latents, early = np.zeros((0, config.bits_per_token), np.float32), np.zeros(config.look_ahead, np.float32)
        self.next = Passage(latents, early, decoder.fresh(), behind, behind)

    def analyse(self, audio: Array) -> None:
        """Takes whole frames ``[T]``."""
        (latents,) = self.analyser(audio[None])
        size = np.sqrt(np.square(latents).mean(-1, keepdims=True)).clip(1e-3)
        self.next.latents = np.concatenate([self.next.latents, SIZE * latents / size])
        self.next.due = np.concatenate([self.next.due, audio])

    def take(self, frames: int) -> Passage:
        """All that was analysed, and goes on behind its first ``frames``."""
        now, behind = self.next, len(self.next.heard)
        audio, after, _ = self.decoder(signs_of(now.latents[:frames]), now.decoder)
        samples = len(audio)
        self.next = Passage(
            now.latents[frames:], now.due[samples:], after,
            np.concatenate([now.heard, audio])[-behind:],
            np.concatenate([now.meant, now.due[:samples]])[-behind:],
        )  # fmt: skip
        return now


class SearchingStream:
    """As ``EncoderStream``: audio ``[channels, samples]`` at the codec's rate to tokens ``[channels, frames, 1]``.

    Passages know nothing of each other's search: each begins behind what the encoder alone would have said, so that
    there can be as many at a time as there are ``threads``. The tokens don't depend on how many that is.
    """

    def __init__(self, engine: NumpyEngine, effort: str, channels: int = 1, threads: int = 1) -> None:
        """``effort`` is one of ``search.EFFORTS``."""
        self.engine, self.config, self.effort = engine, engine.config, EFFORTS[effort]
        self.listener, self.decoder = Listener(), Decoder(engine)
        self.decided, self.ahead = (round(t * self.config.frame_rate) for t in (self.effort.seconds, AHEAD))
        self.pending = np.zeros((channels, 0), np.float32)
        self.samples = self.frames = 0
        self.ended = False
        self.channels = [_Channel(engine, self.decoder) for _ in range(channels)]
        self.threads = threads
        self.searches: deque[list[Future[np.ndarray]]] = deque()
        self.pool = ThreadPoolExecutor(threads)

    def push(self, audio: np.ndarray) -> np.ndarray:
        """Takes samples, gives the tokens that are decided: int32, often none. Raises as ``checked_audio``."""
        check_open(self.ended)
        audio = checked_audio(audio, len(self.channels))
        self.samples += audio.shape[1]
        audio = np.concatenate([self.pending, audio], 1)
        parts = [np.zeros((len(audio), 0, 1), np.int32)]
        # whole passages, whatever the caller's pieces: other matrix products round differently
        while audio.shape[1] >= (needed := (self.decided + self.ahead - self.undecided) * self.config.hop_length):
            self._begin(audio[:, :needed], self.decided)
            audio = audio[:, needed:]
            if len(self.searches) >= self.threads:
                parts.append(self._found())
        self.pending = audio
        return np.concatenate(parts, 1)

    def flush(self) -> np.ndarray:
        """The tokens still due: the stream is over."""
        check_open(self.ended)
        self.ended = True
        hop = self.config.hop_length
        frames = frames_for(self.samples, hop, self.config.look_ahead) - self.frames
        if frames:
            missing = max(0, (frames - self.undecided) * hop - self.pending.shape[1])
            self._begin(np.pad(self.pending, ((0, 0), (0, missing))), frames)
        parts = [np.zeros((len(self.channels), 0, 1), np.int32)]
        while self.searches:
            parts.append(self._found())
        self.close()
        return np.concatenate(parts, 1)

    def close(self) -> None:
        """Searches that have not begun never will, where a stream doesn't come to its end."""
        self.ended = True
        self.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def undecided(self) -> int:
        """Frames that the encoder has seen, and of which no search decides yet."""
        return len(self.channels[0].next.latents)

    def _begin(self, audio: np.ndarray, frames: int) -> None:
        """Analyses whole frames and begins to decide the next ``frames``, trying whatever comes after them as well."""
        for channel, samples in zip(self.channels, audio, strict=True):
            channel.analyse(samples)
        passages = [channel.take(frames) for channel in self.channels]
        self.searches.append([self.pool.submit(self._search, passage, frames) for passage in passages])
        self.frames += frames

    def _found(self) -> np.ndarray:
        """The tokens of all channels that were begun first. A search that fails ends the stream."""
        try:
            return np.array([search.result() for search in self.searches.popleft()])
        except BaseException:
            self.close()
            raise

    def _search(self, passage: Passage, frames: int) -> np.ndarray:
        return self.engine.tokens(best_latents(self.decoder, self.listener, passage, self.effort)[:frames])
