"""Gains that are written are those that are read, whatever stands between."""

from __future__ import annotations

import io

import numpy as np
import pytest
from container_files import (
    few_tokens,
    find_predictor,
    make_coded_header,
    make_file,
    make_header,
    make_tokens,
    read_strict,
)
from hypothesis import given
from hypothesis import strategies as st

from hac_cli.container import Reader, Writer
from hac_cli.container.gains import check_room, gains_of_text, gains_text
from hac_cli.errors import CorruptError, UsageError


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    values=st.lists(st.integers(-128, 127), min_size=24, max_size=24),
    compact=st.booleans(),
    tinted=st.sampled_from([0, 1, 2]),
    pieces=st.integers(1, 500),
)
def test_any_gains_come_back(lengths, values, compact, tinted, pieces):
    """In blocks of 0.08 s, with a copy of the header every hundredth of them where they are compact."""
    header = make_coded_header(channels=2, frames_per_block=6, compact=compact, tinted=tinted > 0,
                               band_limited=tinted > 1, version=0x16)  # fmt: skip
    steps = zip(lengths, zip(values[::2], values[1::2], strict=True), strict=False)
    gains = np.concatenate([np.full((2, length), np.array([[a], [b]]), np.int8) for length, (a, b) in steps], 1)
    if tinted:  # the second terms of the first channel go as its gain does, those of the other stay
        still = np.full_like(gains[0], 3)
        terms = gains[0].clip(-24, 24)
        rows = [gains[0], 0 * still, terms, still, still, gains[1], still, still, still, -still]
        if tinted > 1:
            rows.insert(5, terms.clip(0, 31))
            rows.append(10 * still)
        gains = np.stack(rows)
    frames = gains.shape[1]
    tokens, sink = few_tokens(header, frames), io.BytesIO()
    writer = Writer(sink, header, find_predictor(header))
    for start in range(0, frames, pieces):
        writer.write(tokens[:, start : start + pieces], gains[:, start : start + pieces])
    writer.finish(0)
    _, found, found_gains = read_strict(sink.getvalue())
    np.testing.assert_array_equal(found, tokens)
    np.testing.assert_array_equal(found_gains, gains)
    assert np.array_equal(gains_of_text(gains_text(gains), 2, frames), gains)


def test_a_start_in_the_middle_knows_its_gain():
    header = make_coded_header(frames_per_block=6, compact=True, version=0x14)
    gains = gains_of_text("0:7 60:-3 200:9", 1, 300)
    file = make_file(header, few_tokens(header, 300), None, gains)
    for block in (0, 5, 10, 11, 32, 33, 34, 49):
        reader = Reader(io.BytesIO(file), predictor=find_predictor)
        reader.skip_blocks(block)
        rest = np.concatenate([found.gains for found in reader], 1)
        np.testing.assert_array_equal(rest, gains[:, 6 * block :])


def test_who_has_lost_a_block_knows_its_gain_from_the_next_header_copy_on():
    """The gain falls to 0 in block 3, and is 0 from there on: blocks are 1 s, and there is a copy every 8 s."""
    header = make_header(frames_per_block=75, bits_per_token=1, compact=True, version=0x14)
    sink, offsets = io.BytesIO(), []
    writer = Writer(sink, header)
    for block in range(30):
        offsets.append(sink.tell())
        gain = 14 * (np.arange(75) + 75 * block < 250)
        writer.write(make_tokens(header, 75), gain[None].astype(np.int8))
    writer.finish(0)
    hurt, damages = bytearray(sink.getvalue()), []
    hurt[offsets[3] + 20] ^= 1
    found = [block.gains[0, -1] for block in Reader(io.BytesIO(bytes(hurt)), on_damage=damages.append)]
    assert [(damage.first_frame, damage.frames) for damage in damages] == [(225, 75)]
    assert found == [14] * 7 + [0] * 22


def test_small_changes_are_left_out_where_there_are_too_many():
    header = make_header(channels=2, frames_per_block=4096, bits_per_token=1, version=0x14)
    steps = np.random.default_rng(0).integers(-3, 4, (2, 4096))
    gains = np.cumsum(steps, 1).clip(-40, 40).astype(np.int8)
    _, _, found = read_strict(make_file(header, make_tokens(header, 4096), None, gains))
    assert 0 < np.abs(found.astype(int) - gains).max() < 40
    few = np.repeat(gains[:, ::32], 32, axis=1)
    _, _, found = read_strict(make_file(header, make_tokens(header, 4096), None, few))
    np.testing.assert_array_equal(found, few)


def test_blocks_that_gains_make_too_large_are_refused():
    check_room(make_header(frames_per_block=300, version=0x14))
    with pytest.raises(UsageError, match="use a shorter one"):
        check_room(make_header(channels=8, frames_per_block=3640, version=0x14))


@pytest.mark.parametrize("text", ["x", "0", "0:x", "0:1,2,3", "0:200", "-1:3", "5:1 2:7", "0:1 0:2", "10:1", 5])
def test_texts_that_are_no_gains(text):
    with pytest.raises(CorruptError, match="gains can't be read"):
        gains_of_text(text, 2, 10)
