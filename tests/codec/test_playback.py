"""Parts of a recording, recordings with holes, cutting and joining: the public API, with the released weights."""

from __future__ import annotations

import dataclasses
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hac_cli
from hac_cli.container import PREDICTED, RAW, VERSION, Reader, Writer
from hac_cli.editing import cat, cut
from hac_cli.errors import CorruptError, UsageError
from hac_cli.model import released
from hac_cli.predictors import for_header

LATE = released.find("v2").config.look_ahead

RATE, SECONDS = 16_000, 9.01


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``talk.hac``, 9 s in blocks of a second, and ``talk.wav``, the same decoded."""
    folder = tmp_path_factory.mktemp("talk")
    time = np.arange(round(RATE * SECONDS)) / RATE
    voice = 0.3 * np.sin(2 * np.pi * (120 + 60 * np.sin(time)) * time) * np.sin(2 * np.pi * 2 * time)
    soundfile.write(folder / "original.wav", voice, RATE)
    hac_cli.compress(folder / "original.wav", folder / "talk.hac", frames_per_block=75)
    hac_cli.decompress(folder / "talk.hac", folder / "talk.wav")
    return folder


def decoded(path_or_bytes: Path | bytes, **options) -> tuple[np.ndarray, hac_cli.Result]:
    source = io.BytesIO(path_or_bytes) if isinstance(path_or_bytes, bytes) else path_or_bytes
    sink = io.BytesIO()
    result = hac_cli.decompress(source, sink, **options)
    return np.frombuffer(sink.getvalue()[44:], np.int16).astype(int), result


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0].astype(int)


def tokens_of(data: bytes) -> np.ndarray:
    return np.concatenate([block.tokens for block in Reader(io.BytesIO(data), predictor=for_header)], 1)


def blocks_of(data: bytes) -> list[int]:
    """Offsets of the blocks."""
    offsets = [data[5]]
    while offsets[-1] < len(data):
        offsets.append(offsets[-1] + 12 + int.from_bytes(data[offsets[-1] + 5 : offsets[-1] + 7], "little"))
    return offsets[:-1]


def test_coding_loses_nothing(folder):
    sink = io.BytesIO()
    hac_cli.compress(folder / "original.wav", sink, frames_per_block=75, payload="raw")
    assert len(sink.getvalue()) > (folder / "talk.hac").stat().st_size
    np.testing.assert_array_equal(tokens_of(sink.getvalue()), tokens_of((folder / "talk.hac").read_bytes()))


@pytest.mark.parametrize(("start", "duration"), [(0, 1), (4.4321, 1.5), (6.7, None), (8.99, 5), (3, 0)])
def test_a_part_is_what_the_whole_has_there(folder, start, duration):
    whole = read(folder / "talk.wav")
    part, result = decoded(folder / "talk.hac", start=start, duration=duration)
    first = round(start * RATE)
    wanted = whole[first:] if duration is None else whole[first : first + round(duration * RATE)]
    assert len(part) == len(wanted) == result.samples
    assert np.abs(part - wanted).max(initial=0) <= 1


def test_a_part_does_not_read_on(folder):
    data = (folder / "talk.hac").read_bytes()
    cut_off = data[: blocks_of(data)[7]]
    assert len(decoded(cut_off, start=2, duration=2)[0]) == 2 * RATE
    with pytest.raises(CorruptError):
        decoded(cut_off, start=2, duration=20)
    with pytest.raises(UsageError, match=r"ends at 9\.010 s"):
        decoded(data, start=9.1)
    with pytest.raises(UsageError):
        decoded(data, start=-1)


@pytest.mark.parametrize("damage", ["flipped", "lost"])
@pytest.mark.parametrize("recover", [False, True])
def test_damage_elsewhere_is_no_matter_to_a_part(folder, damage, recover):
    """Blocks are of a second: that from 3 to 4 s is damaged."""
    whole, data = read(folder / "talk.wav"), (folder / "talk.hac").read_bytes()
    start, end = blocks_of(data)[3:5]
    bad = bytes([data[start + 20] ^ 1])
    data = data[: start + 20] + bad + data[start + 21 :] if damage == "flipped" else data[:start] + data[end:]
    for first, last in ((0, 2), (1.2, 2.9 - 0.1), (6, 8), (6.5, None)):
        part, result = decoded(data, start=first, duration=last and last - first, recover=recover)
        wanted = whole[round(first * RATE) : last and round(last * RATE)]
        assert len(part) == len(wanted) and np.abs(part - wanted).max() <= 1
        assert not result.damage and not result.lost
    if not recover:
        with pytest.raises(CorruptError, match="block 3"):
            decoded(data, start=2, duration=1.5)
    else:
        lost = decoded(data, start=2, duration=1.5, recover=True)[1].lost
        assert lost == ((3 - LATE / 24000, 3.5),)
        before = decoded(data, start=4.5, duration=1, recover=True)[1]  # what is decoded in front of it is damaged
        assert not before.damage and not before.lost


def test_a_hole_is_silent_and_the_rest_is_as_it_was(folder):
    whole, data = read(folder / "talk.wav"), bytearray((folder / "talk.hac").read_bytes())
    data[blocks_of(bytes(data))[4] + 20] ^= 1
    with pytest.raises(CorruptError):
        decoded(bytes(data))
    audio, result = decoded(bytes(data), recover=True)
    assert len(audio) == len(whole)
    assert result.lost == ((4 - LATE / 24000, 5 - LATE / 24000),)
    first, last = (round(second * RATE) for second in result.lost[0])
    np.testing.assert_allclose(audio[: first - 100], whole[: first - 100], atol=1)
    assert not audio[first + RATE // 40 : last - 100].any()
    step = np.abs(np.diff(whole)).max()
    assert np.abs(np.diff(audio[first - 100 : last + RATE // 2])).max() <= 2 * step  # no click
    np.testing.assert_allclose(audio[last + 2 * RATE :], whole[last + 2 * RATE :], atol=1)


@pytest.mark.parametrize("lost", [[0], [0, 1], [8, 9], [2, 5], list(range(10))])
def test_lost_blocks_never_change_the_length(folder, lost):
    whole, data = read(folder / "talk.wav"), (folder / "talk.hac").read_bytes()
    offsets = [*blocks_of(data), len(data)]
    kept = [data[a:b] for n, (a, b) in enumerate(pairwise(offsets)) if n not in lost]
    audio, result = decoded(data[: data[5]] + b"".join(kept), recover=True)
    assert len(audio) == len(whole)
    assert result.lost
    if 0 in lost:
        assert not audio[: RATE // 2].any()


def test_a_truncated_file_gives_the_length_that_was_announced(folder):
    whole, data = read(folder / "talk.wav"), (folder / "talk.hac").read_bytes()
    for size in (data[5], blocks_of(data)[3] + 5, len(data) - 1):
        audio, _ = decoded(data[:size], recover=True)
        assert len(audio) == len(whole)
    audio, result = decoded((folder / "talk.hac").read_bytes(), recover=True)
    np.testing.assert_array_equal(audio, whole)
    assert result.lost == ()


def test_a_recording_that_went_on_behind_what_was_announced_is_recovered(folder):
    """Of a recording that was still being made when it was coded, and whose end is missing."""
    whole = read(folder / "talk.wav")
    reader = Reader(io.BytesIO((folder / "talk.hac").read_bytes()), predictor=for_header)
    sink = io.BytesIO()
    writer = Writer(sink, dataclasses.replace(reader.header, total_samples=RATE), for_header(reader.header))
    for block in reader:
        writer.write(block.tokens, block.gains)
    audio, _ = decoded(sink.getvalue(), recover=True)
    np.testing.assert_array_equal(audio[: 8 * RATE], whole[: 8 * RATE])
    assert len(audio) > 8.9 * RATE  # all of the blocks that were written
    part, _ = decoded(sink.getvalue(), recover=True, start=5, duration=1)
    np.testing.assert_allclose(part, whole[5 * RATE : 6 * RATE], atol=1)


def test_what_could_not_be_cut_or_joined_leaves_what_was_there(folder, tmp_path):
    there = tmp_path / "there.hac"
    there.write_bytes(b"something of value")
    with pytest.raises(UsageError):
        cut(folder / "talk.hac", there, start=50)
    (tmp_path / "hurt.hac").write_bytes((folder / "talk.hac").read_bytes()[:-9])
    with pytest.raises(CorruptError):
        cat([folder / "talk.hac", tmp_path / "hurt.hac"], there)
    assert there.read_bytes() == b"something of value"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hurt.hac", "there.hac"]


def test_cut(folder, tmp_path):
    """Exact at its end, at most 40 ms early at its start, and the whole's tokens."""
    data = (folder / "talk.hac").read_bytes()
    for start, duration in ((0, 9.01), (0, 2.5), (3.21, 2.0), (8.9, None)):
        piece = cut(folder / "talk.hac", tmp_path / "part.hac", start=start, duration=duration)
        assert round(start * RATE) - 0.04 * RATE <= piece.first <= round(start * RATE)
        end = round((start + (duration or 9)) * RATE)
        assert piece.first + piece.samples == min(end, round(SECONDS * RATE))
        frame = piece.first * 24000 // RATE // 320
        part = tokens_of((tmp_path / "part.hac").read_bytes())
        np.testing.assert_array_equal(part, tokens_of(data)[:, frame : frame + part.shape[1]])
        assert len(decoded(tmp_path / "part.hac")[0]) == piece.samples
    for start in (10, -0.01):
        with pytest.raises(UsageError):
            cut(folder / "talk.hac", tmp_path / "none.hac", start=start)


def test_pieces_claim_nothing_that_they_may_not_have(folder, tmp_path):
    """Of a later version's file, whose flags nobody here knows: the version that has what is written here."""
    reader = Reader(io.BytesIO((folder / "talk.hac").read_bytes()), predictor=for_header)
    for coding in (PREDICTED, RAW):
        digest = reader.header.predictor_digest if coding == PREDICTED else None
        header = dataclasses.replace(
            reader.header, version=0x1F, compatible_flags=5, payload_coding=coding, predictor_digest=digest
        )
        later = io.BytesIO()
        writer = Writer(later, header, for_header(header))
        writer.write(np.zeros((1, 9, 1), np.int32))
        writer.finish(9 * 320 * RATE // 24000)
        (tmp_path / "later.hac").write_bytes(later.getvalue())
        cat([tmp_path / "later.hac"], tmp_path / "piece.hac")
        piece = Reader(io.BytesIO((tmp_path / "piece.hac").read_bytes())).header
        assert (piece.version, piece.compatible_flags) == (VERSION, 0)


def test_cat(folder, tmp_path):
    data = (folder / "talk.hac").read_bytes()
    begins = cat([folder / "talk.hac"] * 3, tmp_path / "all.hac")
    frames = tokens_of(data).shape[1]
    assert begins == [int(n * frames * 320 * RATE / 24000) / RATE for n in range(3)]
    joined = tokens_of((tmp_path / "all.hac").read_bytes())
    np.testing.assert_array_equal(joined, np.concatenate([tokens_of(data)] * 3, 1))
    whole, audio = read(folder / "talk.wav"), decoded(tmp_path / "all.hac")[0]
    assert len(audio) == round(begins[2] * RATE) + len(whole)
    np.testing.assert_allclose(audio[: len(whole)], whole, atol=1)
    hac_cli.compress(folder / "original.wav", tmp_path / "other.hac", frames_per_block=20)
    cat([folder / "talk.hac", tmp_path / "other.hac"], tmp_path / "mixed.hac")
    soundfile.write(tmp_path / "fast.wav", np.zeros(100), 48_000)
    hac_cli.compress(tmp_path / "fast.wav", tmp_path / "fast.hac")
    with pytest.raises(UsageError, match=r"fast\.hac: has another model"):
        cat([folder / "talk.hac", tmp_path / "fast.hac"], tmp_path / "none.hac")
    (tmp_path / "hurt.hac").write_bytes(data[:-20])
    with pytest.raises(CorruptError, match=r"hurt\.hac"):
        cat([folder / "talk.hac", tmp_path / "hurt.hac"], tmp_path / "none.hac")
