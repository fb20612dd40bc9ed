"""Recordings of any level are coded at the one that the network knows, and come back at their own."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import hac_cli
from hac_cli.conditioning import Restorer
from hac_cli.container import TINT_TERMS, Reader
from hac_cli.container.gains import gains_text
from hac_cli.editing import cat, cut
from hac_cli.eval.metrics import mel_distance, stoi
from hac_cli.levels import AHEAD, Leveller, LiveLeveller, Ramp
from hac_cli.predictors import for_header
from hac_cli.segments import SEGMENT_SAMPLES

RATE, HOP, DELAY = 24_000, 320, 960
SPEECH, _ = soundfile.read("samples/speech.wav", dtype="float32")


def at_level(decibels: float, audio: np.ndarray = SPEECH) -> np.ndarray:
    return (audio * 10 ** (decibels / 20)).astype(np.float32)


def level(audio: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(audio, dtype=np.float64)))


def wav(audio: np.ndarray) -> io.BytesIO:
    """``[samples]`` or ``[channels, samples]`` as a file."""
    file = io.BytesIO()
    soundfile.write(file, audio.T, RATE, "FLOAT", format="WAV")
    file.seek(0)
    return file


def compress(audio: np.ndarray, **options) -> io.BytesIO:
    file = io.BytesIO()
    hac_cli.compress(wav(audio), file, **options)
    file.seek(0)
    return file


def decompress(file: io.BytesIO, **options) -> np.ndarray:
    sink = io.BytesIO()
    hac_cli.decompress(file, sink, raw=f"{RATE}:{options.pop('channels', 1)}:f32", **options)
    file.seek(0)
    return np.frombuffer(sink.getvalue(), np.float32)


def gains_of(file: io.BytesIO) -> np.ndarray:
    gains = np.concatenate([block.gains for block in Reader(file, predictor=for_header)], 1)
    file.seek(0)
    return gains


def levels_of(file: io.BytesIO) -> np.ndarray:
    """Without tints and bandwidths."""
    return gains_of(file)[:: 2 + TINT_TERMS]


def levelled(audio: np.ndarray, kind: type, pieces: list[int]) -> tuple[np.ndarray, np.ndarray]:
    leveller, parts, start = kind(len(audio), HOP, DELAY), [], 0
    for size in itertools.chain(pieces, itertools.repeat(5000)):
        if start >= audio.shape[1]:
            break
        parts.append(leveller.push(audio[:, start : start + size]))
        start += size
    parts.append(leveller.flush())
    return np.concatenate(parts, 1), leveller.numbers(-(-(audio.shape[1] + DELAY) // HOP))


@pytest.mark.parametrize("decibels", [-38, -20, 0, 9])
def test_any_level_sounds_the_same(decibels):
    usual, other = decompress(compress(SPEECH)), at_level(-decibels, decompress(compress(at_level(decibels))))
    assert abs(level(other) - level(usual)) < 0.5
    assert stoi(SPEECH, other) > stoi(SPEECH, usual) - 0.01
    assert mel_distance(SPEECH, other) < 1.05 * mel_distance(SPEECH, usual)


def test_speech_of_the_usual_level_is_coded_at_its_own():
    assert not levelled(SPEECH[None], Leveller, [])[1].any()


@pytest.mark.parametrize("kind", [Leveller, LiveLeveller])
@given(pieces=st.lists(st.integers(1, 30_000), max_size=20), seed=st.integers(0, 99))
def test_pieces_do_not_matter_and_nothing_is_lost(kind, pieces, seed):
    """A network that only delays: what comes out is what went in."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(10 ** random.uniform(-3.5, -0.3, (2, 8)), 60_001, 1)
    audio = (random.uniform(-1, 1, loudness.shape) * loudness).astype(np.float32)
    whole, gains = levelled(audio, kind, [])
    other, others = levelled(audio, kind, pieces)
    np.testing.assert_array_equal(other, whole)
    np.testing.assert_array_equal(others, gains)
    assert len(np.unique(gains)) > 1
    restorer = Restorer(2, HOP, DELAY)
    restorer.add(gains[:, :50])
    restorer.add(gains[:, 50:])
    start = restorer.restore(whole[:, :7001])
    restored = np.concatenate([start, restorer.restore(whole[:, 7001:])], 1)
    np.testing.assert_allclose(restored, audio, rtol=1e-5)


def test_live_audio_never_waits_but_for_a_frame():
    leveller = LiveLeveller(1, HOP, DELAY)
    sizes = [320, 960, 319, 2, 7040]
    assert [leveller.push(np.ones((1, size), np.float32)).shape[1] for size in sizes] == [320, 960, 0, 320, 7040]
    assert leveller.flush().shape[1] == 1


def test_little_waits_in_a_file():
    leveller = Leveller(1, HOP, DELAY)
    given = sum(leveller.push(np.ones((1, 5000), np.float32)).shape[1] for _ in range(100))
    assert 500_000 - given < (AHEAD + 1) * SEGMENT_SAMPLES
    assert given + leveller.flush().shape[1] == 500_000


@pytest.mark.parametrize("kind", [Leveller, LiveLeveller])
def test_silence_is_not_made_louder(kind):
    hiss = at_level(-85, np.random.default_rng(0).standard_normal((1, 10 * RATE)))
    for quiet in (np.zeros((1, 10 * RATE), np.float32), hiss):
        assert not levelled(quiet, kind, [])[1].any()


def test_no_sample_is_lifted_over_full_level():
    audio = at_level(-30)[None].copy()
    audio[0, ::7777] = 0.5
    out, gains = levelled(audio, Leveller, [])
    assert np.abs(out).max() <= 1
    assert gains.max() > 0


@pytest.mark.parametrize("kind", [Leveller, LiveLeveller])
def test_nothing_between_words(kind):
    """Zeros as long as what is remembered, and a rest that is constant."""
    zeros = np.zeros(40 * RATE, np.float32)
    for rest in (zeros, zeros + 0.3):
        out, _ = levelled(np.concatenate([SPEECH, rest, SPEECH])[None], kind, [])
        assert np.isfinite(out).all() and np.abs(out).max() <= 1


def test_speech_after_noise_is_not_overloaded_when_live():
    noise = at_level(-60, np.random.default_rng(0).standard_normal(10 * RATE))
    out, gains = levelled(np.concatenate([noise, SPEECH])[None], LiveLeveller, [])
    assert gains.max() > 15
    speech = out[0, 10 * RATE :]
    assert np.abs(speech).max() <= 2 and level(speech[: RATE // 2]) < level(SPEECH[: RATE // 2]) + 8
    assert np.abs(gains[0, 11 * RATE // HOP :]).max() <= 6


def test_a_pause_is_not_lifted_when_live():
    pause = at_level(-60, np.random.default_rng(0).standard_normal(8 * RATE))
    gains = levelled(np.concatenate([SPEECH, pause])[None], LiveLeveller, [])[1]
    assert np.abs(gains).max() < 6


def test_who_speaks_softer_is_lifted_alone():
    audio = np.stack([np.concatenate([SPEECH, at_level(-25)]), np.concatenate([at_level(-25), SPEECH])])
    gains = levels_of(compress(audio))
    second = SPEECH.size // HOP
    assert np.abs(gains[0, : second - 300]).max() <= 6 and gains[0, -50:].min() > 20
    assert gains[1, : second - 300].min() > 20 and np.abs(gains[1, -50:]).max() <= 6


def test_a_gain_is_reached_in_a_frame_without_a_step():
    ramp = Ramp(1, 4, 0)
    ramp.add(np.array([[0, 20, 20]], np.int8))
    np.testing.assert_allclose(ramp.take(12)[0], [1, 1, 1, 1, 3.25, 5.5, 7.75, 10, 10, 10, 10, 10])


def test_parts_of_a_file_have_its_level():
    audio = np.concatenate([at_level(-30), SPEECH, at_level(-30)])
    file, part = compress(audio), io.BytesIO()
    whole = decompress(file)
    start = SPEECH.size / RATE + 1
    middle = decompress(file, start=start, duration=3)
    np.testing.assert_allclose(middle, whole[round(start * RATE) :][: 3 * RATE], atol=1e-4)
    piece = cut(file, part, start=5, duration=5)
    file.seek(0), part.seek(0)
    assert abs(level(decompress(part)) - level(whole[piece.first : piece.first + piece.samples])) < 0.5
    gains, first = gains_of(part), piece.first // HOP
    assert len(np.unique(gains)) > 1
    np.testing.assert_array_equal(gains, gains_of(file)[:, first : first + gains.shape[1]])


def test_files_that_are_joined_keep_their_levels():
    joined = io.BytesIO()
    quiet, usual = compress(at_level(-30)), compress(SPEECH)
    begins = cat([quiet, usual], joined)
    quiet.seek(0), usual.seek(0), joined.seek(0)
    audio = decompress(joined)
    second = round(begins[1] * RATE)
    assert abs(level(audio[:second]) - level(decompress(quiet))) < 0.3
    assert abs(level(audio[second:]) - level(decompress(usual))) < 0.3


def test_what_is_lost_does_not_change_the_level_of_the_rest():
    file = compress(at_level(-30), frames_per_block=75).getvalue()
    offsets = [file[5]]
    while offsets[-1] < len(file):
        offsets.append(offsets[-1] + 12 + int.from_bytes(file[offsets[-1] + 5 : offsets[-1] + 7], "little"))
    hurt = file[: offsets[1]] + file[offsets[3] :]
    whole, rest = decompress(io.BytesIO(file)), decompress(io.BytesIO(hurt), recover=True)
    assert len(whole) == len(rest)
    assert abs(level(rest[4 * RATE :]) - level(whole[4 * RATE :])) < 0.5


def test_what_is_taken_in_is_never_too_loud_for_the_network_when_live():
    """A gain for soft speech meets the first frame that is as loud as may be."""
    audio = at_level(-20)
    audio[5 * RATE : 6 * RATE : 50] = 99
    assert len(decompress(compress(audio, live=True))) == len(audio)


def test_a_live_stream_has_its_level_for_those_who_come_late():
    quiet = np.concatenate([at_level(-25)] * 4)
    stream = compress(quiet, live=True, frames_per_block=6).getvalue()
    whole = decompress(io.BytesIO(stream))
    assert abs(level(whole) - level(quiet)) < 1
    late = io.BytesIO(stream[len(stream) // 4 :])
    late.seekable = lambda: False
    sink = io.BytesIO()
    hac_cli.decompress(late, sink, raw=f"{RATE}:1:f32", live=True)
    heard = np.frombuffer(sink.getvalue(), np.float32)
    assert len(heard) > 8 * RATE
    assert abs(level(heard) - level(whole[-len(heard) :])) < 0.5
    assert len(stream) < 1.03 * len(compress(np.concatenate([SPEECH] * 4), live=True, frames_per_block=6).getvalue())


def test_gains_as_text():
    assert gains_text(np.array([[27, 27, 27], [0, 0, -5]], np.int8)) == "0:27,0 2:27,-5"
    assert gains_text(np.zeros((2, 3), np.int8)) == ""
