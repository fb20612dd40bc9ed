"""The codec on arrays and live audio: 24 kHz audio to tokens and back. Recordings are ``recordings``' work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hac_cli.conditioning import Conditioner, Restorer
from hac_cli.container.gains import gains_of_text, gains_text
from hac_cli.errors import UsageError
from hac_cli.model import released
from hac_cli.model.arrays import as_integer, check_channels, check_one_or_more, recorded_audio
from hac_cli.model.engine import DEFAULT_ENGINE, Engine, load_engine
from hac_cli.model.stream import FRAMES_PER_CALL, DecoderStream, EncoderStream, frames_for

if TYPE_CHECKING:
    from hac_cli.search_stream import SearchingStream

Samples = NDArray[np.float32]
Tokens = NDArray[np.int32]

EFFORTS = ("fast", "normal", "best")
"""The tokens that the encoder says, ten times as fast, or such as decode better, after a short or a long search."""


def load_model(name: str = released.DEFAULT_MODEL, engine: str = DEFAULT_ENGINE) -> Engine:
    """A released model, ready to code: ``numpy``, ``torch`` or ``torch:cuda``. Loaded once, then kept.

    Raises ModelError when there is none of that name or its weights are damaged, UsageError for an unknown engine.
    """
    return load_engine(released.find(name), engine)


def encode(
    pcm: Samples,
    *,
    model: str = released.DEFAULT_MODEL,
    engine: str = DEFAULT_ENGINE,
    effort: str = "normal",
    threads: int = 1,
) -> Tokens:
    """Audio at 24 kHz, floats ``[samples]`` or ``[channels, samples]``, to tokens ``[channels, frames, 1]`` (int32).

    It is coded as it is; ``condition`` makes of it what sounds better, as ``compress`` does by itself.
    ``effort`` is one of ``EFFORTS``; "best" takes a quarter as long as the recording, less with more ``threads``, and
    torch knows no search.
    Raises InputError for NaN or infinite samples and UsageError for another shape, integers, more than 8 channels, an
    unknown effort, or the best in torch.
    """
    pcm = np.atleast_2d(np.asarray(pcm))
    stream: EncoderStream | SearchingStream
    if is_searched(effort, engine):
        stream = searching_stream(len(pcm), model=model, effort=effort, threads=threads)
    else:
        stream = encoder_stream(len(pcm), model=model, engine=engine, threads=threads)
    pcm = recorded_audio(pcm, len(pcm))
    return np.concatenate([stream.push(pcm), stream.flush()], 1)


def condition(pcm: Samples, *, model: str = released.DEFAULT_MODEL) -> tuple[Samples, str]:
    """Audio as ``encode`` does best with it, ``[channels, samples]``: without offset and rumble, and of the level and
    the tint that the network knows best; and the gains that this took, for ``decode``, with the bandwidth that it is to
    keep to. Raises as ``encode``."""
    pcm = np.atleast_2d(np.asarray(pcm))
    check_channels(len(pcm))
    chosen, pcm = released.find(model), recorded_audio(pcm, len(pcm))
    config = chosen.config
    conditioner = Conditioner(len(pcm), config.hop_length, config.look_ahead)
    conditioned = conditioner.whole(pcm)
    frames = frames_for(pcm.shape[1], config.hop_length, config.look_ahead)
    return conditioned, gains_text(conditioner.gains(frames))


def decode(
    tokens: Tokens,
    *,
    gains: str = "",
    samples: int | None = None,
    model: str = released.DEFAULT_MODEL,
    engine: str = DEFAULT_ENGINE,
) -> Samples:
    """Tokens ``[channels, frames, 1]`` or ``[channels, frames]`` to audio ``[channels, samples]`` at 24 kHz (float32).

    ``gains``: as ``read_tokens``, shards and ``condition`` give them, what was done to the audio before.
    The tokens reach up to a frame past the recording's end; give its ``samples`` to get exactly those back.
    Raises UsageError for another shape, for values that are not tokens, or for more ``samples`` than they hold,
    CorruptError for what are no gains.
    """
    tokens = np.asarray(tokens)
    tokens = tokens[..., None] if tokens.ndim == 2 else tokens
    stream = decoder_stream(len(tokens) if tokens.ndim == 3 else 1, model=model, engine=engine)
    audio = np.concatenate([stream.push(tokens), stream.flush()], 1)
    if gains:
        restorer = Restorer(len(audio), stream.engine.config.hop_length, stream.engine.config.look_ahead)
        restorer.add(gains_of_text(gains, *tokens.shape[:2]))
        audio = restorer.restore(audio)
    wanted = audio.shape[1] if samples is None else as_integer(samples, "samples")
    if not 0 <= wanted <= audio.shape[1]:
        raise UsageError(f"these tokens hold up to {audio.shape[1]} samples, not {samples}")
    return audio[:, :wanted]


def encoder_stream(
    channels: int = 1,
    *,
    model: str = released.DEFAULT_MODEL,
    frames_per_call: int = FRAMES_PER_CALL,
    engine: str = DEFAULT_ENGINE,
    threads: int = 1,
) -> EncoderStream:
    """A stream from audio at 24 kHz to tokens; ``frames_per_call`` trades latency for speed, as do two threads."""
    check_channels(channels)
    check_one_or_more(frames_per_call, "frames_per_call")
    check_one_or_more(threads, "threads")
    return EncoderStream(load_model(model, engine), channels, frames_per_call, threads)


def is_searched(effort: str, engine: str = DEFAULT_ENGINE, live: bool = False) -> bool:
    """Whether an effort means a search: what is usual doesn't where there is none. Raises UsageError for an unknown
    effort, or for the best there."""
    if effort not in EFFORTS:
        raise UsageError(f"there is no effort {effort!r}; use one of {', '.join(EFFORTS)}")
    if effort == "best" and live:
        raise UsageError("the best tokens take seconds of audio to find; leave out either --live or --best")
    if effort == "best" and engine != DEFAULT_ENGINE:
        raise UsageError("the best tokens are searched for by the engine numpy alone; leave out --engine and --device")
    return effort != "fast" and not live and engine == DEFAULT_ENGINE


def searching_stream(
    channels: int = 1, *, model: str = released.DEFAULT_MODEL, effort: str = "normal", threads: int = 1
) -> SearchingStream:
    """A stream from audio at 24 kHz to tokens that decode better than those of ``encoder_stream``, seconds later;
    ``threads`` passages are searched at a time."""
    check_channels(channels)
    check_one_or_more(threads, "threads")
    from hac_cli.model.numpy_engine import NumpyEngine
    from hac_cli.search_stream import SearchingStream

    chosen = load_model(model)
    assert isinstance(chosen, NumpyEngine)
    return SearchingStream(chosen, effort, channels, threads)


def decoder_stream(
    channels: int = 1,
    *,
    model: str = released.DEFAULT_MODEL,
    frames_per_call: int = FRAMES_PER_CALL,
    engine: str = DEFAULT_ENGINE,
    threads: int = 1,
) -> DecoderStream:
    """A stream from tokens to audio at 24 kHz."""
    check_channels(channels)
    check_one_or_more(frames_per_call, "frames_per_call")
    check_one_or_more(threads, "threads")
    return DecoderStream(load_model(model, engine), channels, frames_per_call, threads)
