"""From a ``.hac`` file's blocks to samples at the original rate: a part of them, and what to do about lost ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio import Resampler
from hac_cli.conditioning import Restorer
from hac_cli.container import CODEC_SAMPLE_RATE, Block, Damage, Gains, Header, Reader
from hac_cli.errors import CorruptError, RangeError
from hac_cli.model.stream import DecoderStream
from hac_cli.window import Window

PRE_ROLL_SECONDS = 2.0
"""How much is decoded and thrown away in front of a start in the middle; longer than the decoder remembers."""
FADE_OUT, FADE_IN = 480, 1440
"""Samples at the codec's rate, 20 and 60 ms: into a hole what was heard goes on for a while, and behind it the decoder
has to find its way back."""
PIECE_FRAMES = 150
RESAMPLER_REACH = 480
"""Samples at the codec's rate behind a sample that resampling hears: 231 to 8 kHz, fewer to higher rates."""
LONGEST_GAPS_SECONDS = 24 * 3600

Audio = NDArray[np.float32]
Tokens = NDArray[np.int32]


class Frames(NamedTuple):
    """Tokens ``[channels, n, 1]`` and gains of frames."""

    tokens: Tokens
    gains: Gains

    def last(self) -> Frames:
        return Frames(self.tokens[:, -1:], self.gains[:, -1:])

    def repeated(self, times: int) -> Frames:
        return Frames(self.tokens.repeat(times, 1), self.gains.repeat(times, 1))


class Player:
    """Decodes what a reader gives. A tolerant reader appends to ``damages``; their frames are concealed, and so are
    those behind what breaks off, as far as the header announced them; ``live``, what breaks off ends there.

    ``lost`` tells, in the end, from and to which second of the recording that was, ``harmed`` whether any damage is of
    the window.
    """

    def __init__(self, reader: Reader, damages: list[Damage], stream: DecoderStream, live: bool = False) -> None:
        self.reader = reader
        self._live = live
        self.header: Header = reader.header
        self.lost: tuple[tuple[float, float], ...] = ()
        self._damages = damages
        self._stream = stream
        self._restorer = Restorer(self.header.channels, self.header.hop_length, self.header.pre_skip)
        self._fader = _Fader(self.header)
        self._samples: int | None = None  # of the recording, known in the end
        self.harmed = False
        self._given = 0  # frame behind the last good one
        self._missing = 0  # frames
        self._joined: CorruptError | None = None

    def audio(self, window: Window) -> Iterator[Audio]:
        """The window's samples, ``[channels, n]``, as they come. Raises CorruptError and RangeError."""
        if late := self.reader.frames_passed:  # of somebody who listens in, whose times count from there
            window = window.later(self.header.samples_of(late))
        self.reader.skip_blocks(self._first_block(window.start))
        position = self.header.samples_of(self.reader.frames_passed)  # late, damaged or behind the end, another block's
        self._stream.begin_at(self.reader.frames_passed)
        self._fader.position = self.reader.frames_passed * self.header.hop_length
        for piece in self._decoded(window.stop):
            begin, end = window.start - position, piece.shape[1]
            if window.stop is not None:
                end = min(end, window.stop - position)
            position += piece.shape[1]
            if end > max(begin, 0):
                yield piece[:, max(begin, 0) : end]
            if window.stop is not None and position >= window.stop:
                break
        if self._joined:
            raise self._joined
        if window.start > position:
            raise self._too_late(position)
        self.lost = self._fader.lost_seconds(window, position)
        begun = (window.holds(self.header.samples_of(damage.first_frame)) for damage in self._damages)
        self.harmed = self.harmed or any(begun) or self._fader.touches(window)

    def _too_late(self, samples: int) -> RangeError | CorruptError:
        seconds = samples / self.header.sample_rate
        if self._damages and self.reader.summary is None:  # nobody knows how much there was
            reason = self._damages[-1].reason
            return CorruptError(f"is damaged, and nothing is left of it behind {seconds:.3f} s ({reason})")
        return RangeError(f"the recording ends at {seconds:.3f} s, before that start")

    def _first_block(self, sample: int) -> int:
        """The block to begin with: far enough in front, and on a whole sample."""
        hop, rate = self.header.hop_length, self.header.sample_rate
        codec_sample = sample * CODEC_SAMPLE_RATE // rate - int(PRE_ROLL_SECONDS * CODEC_SAMPLE_RATE)
        block = max(0, codec_sample // (hop * self.header.frames_per_block))
        while block * self.header.frames_per_block * hop * rate % CODEC_SAMPLE_RATE:
            block -= 1
        return block

    def _decoded(self, stop: int | None) -> Iterator[Audio]:
        """Audio from here on at the original rate, to sample ``stop`` at least. That of the last frame is held back:
        only the end block tells how many samples it is worth."""
        header = self.header
        resampler = Resampler(CODEC_SAMPLE_RATE, header.sample_rate, header.channels)
        last_frame = -(-header.hop_length * header.sample_rate // CODEC_SAMPLE_RATE) + 1
        begin = header.samples_of(self.reader.frames_passed)
        held = np.zeros((header.channels, 0), np.float32)
        given = 0
        for frames in self._frames(None if stop is None else self._frames_up_to(stop)):
            self._restorer.add(frames.gains)
            decoded = self._heard(self._stream.push(frames.tokens))
            audio = np.concatenate([held, resampler.process(decoded)], 1)
            ready = max(0, audio.shape[1] - last_frame)
            given += ready
            yield audio[:, :ready]
            held = audio[:, ready:]
        rest = resampler.process(self._heard(self._stream.flush()))
        rest = np.concatenate([held, rest, resampler.flush()], 1)
        if self._samples is not None:
            due = self._samples - begin - given
            if begin > self._samples:  # the last block may be all behind the end
                raise self._too_late(self._samples)
            if self.reader.summary and due < 0:
                raise CorruptError(f"it says that it has {self._samples} samples, and has frames for more")
            rest = rest[:, : max(0, due)]
            rest = np.pad(rest, ((0, 0), (0, max(0, due - rest.shape[1]))))
        yield rest

    def _heard(self, decoded: Audio) -> Audio:
        """What the network gives, at the recording's level, and silent where it was lost."""
        return self._fader.apply(self._restorer.restore(decoded))

    def _frames_up_to(self, sample: int) -> int:
        """How many frames it takes to have the samples before ``sample`` as they are in the whole recording."""
        resampled = self.header.sample_rate != CODEC_SAMPLE_RATE
        return self.header.frames_for(sample) + resampled * -(-RESAMPLER_REACH // self.header.hop_length)

    def _frames(self, stop_frame: int | None) -> Iterator[Frames]:
        """The reader's frames, with something in the place of those that are lost; no blocks behind ``stop_frame``."""
        last = None
        seen = 0
        for block in self._blocks():
            yield from self._concealed(self._damages[seen:], last)
            seen = len(self._damages)
            yield (frames := Frames(block.tokens, block.gains))
            last, self._given = frames.last(), self.reader.frames_passed
            if stop_frame is not None and self._given > stop_frame:  # where it just comes to it, this may be the end
                return
        summary = self.reader.summary
        if not summary:
            self.harmed = True
            if self._live:
                return
        self._samples = summary.samples if summary else self._announced()
        yield from self._concealed(self._damages[seen:], last)

    def _blocks(self) -> Iterator[Block]:
        """The reader's. That something follows the end block is told when all of them are heard."""
        try:
            yield from self.reader
        except CorruptError as error:
            if not self.reader.summary:
                raise
            self._joined = error

    def _announced(self) -> int | None:
        """How long the recording was to be, None where it is known to be longer."""
        frames = self.header.frames_announced
        return None if frames is None or self._given > frames else self.header.total_samples

    def _concealed(self, damages: list[Damage], last: Frames | None) -> Iterator[Frames]:
        """In the place of lost frames: the last good one over and over, which the fader makes silent."""
        for damage in damages:
            if damage.frames and damage.first_frame + damage.frames <= self._given:
                continue  # a wrong digest does not say which of them are wrong
            frames = damage.frames
            if frames is None:  # to the end, as the header announced it, if it did
                frames = max(0, (self.header.frames_announced or 0) - damage.first_frame)
            if (self._missing + frames) * self.header.frame_seconds > LONGEST_GAPS_SECONDS:
                if damage.frames is None:  # all that there is was good
                    self._samples = None
                    return
                behind = self.header.heard_at(damage.first_frame + frames)
                raise CorruptError(f"more than a day is missing; --start {behind:.0f} decodes what is behind it")
            self._missing += frames
            if frames:
                self._fader.add(damage.first_frame, frames, at_once=last is None)
            for done in range(0, frames, PIECE_FRAMES):
                yield (last or self._nothing()).repeated(min(PIECE_FRAMES, frames - done))

    def _nothing(self) -> Frames:
        header = self.header
        tokens = np.zeros((header.channels, 1, header.tokens_per_frame), np.int32)
        return Frames(tokens, np.zeros((header.gain_rows, 1), np.int8))


class _Fader:
    """Makes the sound of lost frames silent, without a click. It works at the codec's rate."""

    def __init__(self, header: Header) -> None:
        self.position = 0
        self._header = header
        self._holes: list[tuple[int, int]] = []
        self._open: list[tuple[int, int, bool]] = []

    def add(self, first_frame: int, frames: int, at_once: bool) -> None:
        """Frames that are lost; ``at_once``: nothing was heard before that could fade."""
        hole = self._header.first_sample(first_frame), self._header.first_sample(first_frame + frames)
        self._holes.append(hole)
        self._open.append((*hole, at_once))

    def apply(self, audio: Audio) -> Audio:
        """The next samples, ``[channels, n]``."""
        start, self.position = self.position, self.position + audio.shape[1]
        self._open = [hole for hole in self._open if hole[1] + FADE_IN > start]
        if not self._open:
            return audio
        gain = np.ones(audio.shape[1], np.float32)
        time = np.arange(start, self.position)
        for first, last, at_once in self._open:
            before = np.where(time < first, 1, 0 if at_once else np.clip(1 - (time - first) / FADE_OUT, 0, 1))
            after = np.clip((time - last) / FADE_IN, 0, 1)
            gain *= np.where(time < last, before, after).astype(np.float32)
        return audio * gain

    def touches(self, window: Window) -> bool:
        """Whether a hole takes of a window, or what is faded in behind it does."""
        start = window.start * CODEC_SAMPLE_RATE // self._header.sample_rate
        stop = self.position if window.stop is None else window.stop * CODEC_SAMPLE_RATE // self._header.sample_rate
        return any(first < stop and start < last + FADE_IN for first, last in self._holes)

    def lost_seconds(self, window: Window, samples: int) -> tuple[tuple[float, float], ...]:
        """From and to second of what every hole takes from a window, in a recording that ends after ``samples``."""
        rate = self._header.sample_rate
        start, end = window.start / rate, (samples if window.stop is None else min(samples, window.stop)) / rate
        seconds = [(first / CODEC_SAMPLE_RATE, last / CODEC_SAMPLE_RATE) for first, last in self._holes]
        places = ((max(first, start), min(last, end)) for first, last in seconds)
        return tuple((first, last) for first, last in places if first < last)
