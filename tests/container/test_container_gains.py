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
    pieces=st.integers(1, 500),
)
def test_any_gains_come_back(lengths, values, compact, pieces):
    """In blocks of 0.08 s, with a copy of the header every hundredth of them where they are compact."""
    header = make_coded_header(channels=2, frames_per_block=6, compact=compact, version=0x14)
    steps = zip(lengths, zip(values[::2], values[1::2], strict=True), strict=False)
    gains = np.concatenate([np.full((2, length), np.array([[a], [b]]), np.int8) for length, (a, b) in steps], 1)
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


def test_what_does_not_fit_is_refused():
    header = make_header(frames_per_block=300, version=0x14)
    gains = np.arange(300, dtype=np.int16).astype(np.int8)[None]
    with pytest.raises(UsageError, match="255 changes of gain, not 299"):
        make_file(header, make_tokens(header, 300), None, gains)
    check_room(header)
    large = make_header(channels=8, frames_per_block=3640, version=0x14)
    with pytest.raises(UsageError, match="use a shorter one"):
        check_room(large)
    with pytest.raises(UsageError, match="make blocks shorter"):
        make_file(large, make_tokens(large, 3640), None, gains.repeat(8, 0).repeat(13, 1)[:, :3640] // 8)


@pytest.mark.parametrize("text", ["x", "0", "0:x", "0:1,2,3", "0:200", "-1:3", "5:1 2:7", "0:1 0:2", "10:1", 5])
def test_texts_that_are_no_gains(text):
    with pytest.raises(CorruptError, match="gains can't be read"):
        gains_of_text(text, 2, 10)
