"""Streaming: tokens and audio depend on the signal alone, not on how it was cut."""

import hashlib

import numpy as np
import pytest

from hac_cli.model import noise
from hac_cli.model.pipeline import Pipeline
from hac_cli.model.stream import DecoderStream, EncoderStream, frames_for

RANDOM = np.random.default_rng(3)
AUDIO = (0.1 * RANDOM.standard_normal((2, 30_011))).astype(np.float32)


def encode(engine, pieces, frames_per_call=75, threads=1):
    stream = EncoderStream(engine, pieces[0].shape[0], frames_per_call, threads)
    return np.concatenate([*(stream.push(piece) for piece in pieces), stream.flush()], 1)


def decode(engine, pieces, frames_per_call=75, threads=1):
    stream = DecoderStream(engine, pieces[0].shape[0], frames_per_call, threads)
    return np.concatenate([*(stream.push(piece) for piece in pieces), stream.flush()], 1)


def cut(array, sizes):
    return np.split(array, np.cumsum(sizes), axis=1)


@pytest.mark.parametrize("sizes", [[1] * 700, [319, 321, 320, 1], [24_000], [7, 24_001, 0, 3], [30_010]])
def test_any_chunking_gives_the_tokens_of_the_whole(engine, sizes):
    whole = encode(engine, [AUDIO])
    assert np.array_equal(encode(engine, cut(AUDIO, sizes)), whole)
    assert len(np.unique(whole)) > 10  # tokens that never change would pass, too


@pytest.mark.parametrize("frames_per_call", [1, 2, 7, 150])
def test_tokens_do_not_depend_on_frames_per_call(engine, frames_per_call):
    assert np.array_equal(encode(engine, [AUDIO], frames_per_call), encode(engine, [AUDIO]))


@pytest.mark.parametrize("sizes", [[1] * 60, [74, 1, 1], [3, 0, 80]])
def test_any_chunking_of_tokens_gives_the_same_audio(engine, sizes):
    tokens = encode(engine, [AUDIO])
    whole = decode(engine, [tokens])
    assert np.array_equal(decode(engine, cut(tokens, sizes)), whole)
    assert np.abs(decode(engine, [tokens], 1) - whole).max() < 1e-5 < np.abs(whole).max()


def test_a_prefix_of_the_input_fixes_a_prefix_of_the_tokens(engine):
    length = 40 * 320
    other = np.concatenate([AUDIO[:, :length], -AUDIO[:, length:]], 1)
    mine, theirs = encode(engine, [AUDIO]), encode(engine, [other])
    assert np.array_equal(mine[:, :40], theirs[:, :40])
    assert not np.array_equal(mine, theirs)


def test_a_prefix_of_the_tokens_fixes_a_prefix_of_the_audio(engine):
    tokens = encode(engine, [AUDIO])
    changed = np.concatenate([tokens[:, :50], tokens[:, 50:] ^ 5], 1)
    known = 50 * 320 - engine.config.look_ahead
    mine, theirs = decode(engine, [tokens]), decode(engine, [changed])
    assert np.array_equal(mine[:, :known], theirs[:, :known])
    assert not np.array_equal(mine, theirs)


def test_a_stream_that_begins_later_goes_on_with_the_same_noise(engine):
    long = np.concatenate([AUDIO] * 3, 1)
    tokens = encode(engine, [long])
    whole = decode(engine, [tokens], 10)
    parts = {}
    for frame in (0, 70):
        stream = DecoderStream(engine, 2, 10)
        stream.begin_at(frame)
        parts[frame] = np.concatenate([stream.push(tokens[:, 70:]), stream.flush()], 1)
    same, other = (np.abs(part[:, 40_000:] - whole[:, 70 * 320 + 40_000 :]).max() for part in (parts[70], parts[0]))
    assert same < 1e-5 < 1e-3 < other


def test_the_noise_is_the_same_on_every_machine():
    values, signs = noise.tables(48)
    assert values.shape == (251, 48) and signs.shape == (256, 48)
    assert [round(float(value), 6) for value in values[0, :3]] == [-0.631856, -1.069594, 0.080381]
    content = values.astype("<f4").tobytes() + signs.astype("<f4").tobytes()
    assert hashlib.sha256(content).hexdigest()[:16] == "60b702599f2ccd80"
    assert abs(values.mean()) < 0.02 and abs(np.square(values).mean() - 1) < 0.02 and abs(signs.mean()) < 0.02


@pytest.mark.parametrize("frames_per_call", [7, 75])
def test_two_threads_give_what_one_gives(engine, frames_per_call):
    tokens = encode(engine, [AUDIO], frames_per_call)
    assert np.array_equal(encode(engine, cut(AUDIO, [1, 9_000]), frames_per_call, threads=2), tokens)
    audio = decode(engine, [tokens], frames_per_call)
    assert np.array_equal(decode(engine, cut(tokens, [1, 40]), frames_per_call, threads=2), audio)


def test_an_error_in_the_second_thread_comes_out():
    pipeline = Pipeline((np.asarray, np.linalg.inv), threads=2)
    pipeline.push(np.zeros((2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        pipeline.wait()


def test_interleaved_streams_do_not_touch_each_other(engine):
    first, second = EncoderStream(engine, 1, 5), EncoderStream(engine, 1, 5)
    parts = [
        (first.push(a), second.push(b))
        for a, b in zip(cut(AUDIO[:1], [5000] * 6), cut(AUDIO[1:], [4000] * 6), strict=True)
    ]
    mine = np.concatenate([*(a for a, _ in parts), first.flush()], 1)
    theirs = np.concatenate([*(b for _, b in parts), second.flush()], 1)
    assert np.array_equal(mine, encode(engine, [AUDIO[:1]], 5))
    assert np.array_equal(theirs, encode(engine, [AUDIO[1:]], 5))


def test_channels_are_coded_each_on_its_own(engine):
    both = encode(engine, [AUDIO])
    assert np.array_equal(both[:1], encode(engine, [AUDIO[:1]]))
    assert np.array_equal(both[1:], encode(engine, [AUDIO[1:]]))


@pytest.mark.parametrize("samples", [0, 1, 319, 320, 321, 639, 640, 641, 959, 960])
def test_every_sample_gets_its_frames(engine, samples):
    tokens = encode(engine, [AUDIO[:, :samples]])
    audio = decode(engine, [tokens])
    assert tokens.shape == (2, frames_for(samples, 320, 640), 1)
    assert samples <= audio.shape[1] < samples + 320
