"""Payload coding 1: nothing is lost, nothing grows, nothing that happens to a coded file goes unseen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from container_files import (
    PREDICTOR,
    PREDICTOR_BYTES,
    Piped,
    few_tokens,
    find_predictor,
    flip,
    make_coded_header,
    make_file,
    make_header,
    make_tokens,
    read_strict,
    read_tolerant,
    split,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from hac_cli.container import Damage, Predictor, Reader, arithmetic, verify
from hac_cli.container.blocks import CODED, DATA, SKIPPABLE, BlockHeader, pack_block
from hac_cli.errors import CorruptError, ModelError

HEADER = make_coded_header()
TOKENS = few_tokens(HEADER, 22)
FILE = make_file(HEADER, TOKENS)
SMALL = make_file(HEADER, TOKENS[:, :10])


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 65535)), max_size=300), st.binary(max_size=3))
def test_bits_come_back_whatever_was_expected(pairs, more):
    data = arithmetic.encode([bit for bit, _ in pairs], [probability for _, probability in pairs])
    decoder = arithmetic.Decoder(data)
    assert [decoder.bit(probability) for _, probability in pairs] == [bit for bit, _ in pairs]
    assert decoder.at_end
    cost = sum(-np.log2((p if bit else 65536 - p) / 65536) for bit, p in pairs)
    assert 8 * len(data) <= cost * 1.001 + 16


def test_the_coder_gives_the_same_bytes_for_ever():
    bits = [int(n * n % 7 < 3) for n in range(64)]
    probabilities = [1 + n * 40503 % 65535 for n in range(64)]
    assert arithmetic.encode(bits, probabilities).hex() == "00002f7235cee1603a4c7b9668"


@settings(max_examples=30)
@given(
    channels=st.integers(1, 3), frames=st.integers(0, 9), kind=st.sampled_from([(1, 18), (3, 6), (6, 3), (2, 9)]),
    start=st.integers(0, 1000), rich=st.booleans(),
)  # fmt: skip
def test_any_tokens_come_back(channels, frames, kind, start, rich):
    header = make_coded_header(channels=channels, tokens_per_frame=kind[0], bits_per_token=kind[1])
    tokens = (make_tokens if rich else few_tokens)(header, frames, start)
    data = make_file(header, tokens)
    np.testing.assert_array_equal(read_strict(data)[1], tokens)
    raw = make_header(channels=channels, tokens_per_frame=kind[0], bits_per_token=kind[1])
    assert len(data) <= len(make_file(raw, tokens)) + 4


def test_what_is_foretold_gets_small_and_what_is_not_stays_raw():
    blocks = [block for block in Reader(io.BytesIO(FILE), predictor=find_predictor)]
    assert all(block.coded for block in blocks)
    assert len(FILE) - 4 < len(make_file(make_header(), TOKENS)) - 3 * len(blocks)
    surprising = make_file(HEADER, make_tokens(HEADER, 22) | 0x20000)
    assert not any(block.coded for block in Reader(io.BytesIO(surprising), predictor=find_predictor))


def test_every_single_bit_flip_and_truncation_is_noticed():
    for bit in range(8 * len(SMALL)):
        with pytest.raises(CorruptError):
            read_strict(flip(SMALL, bit))
    for size in range(len(SMALL)):
        with pytest.raises(CorruptError):
            read_strict(SMALL[:size])


def test_a_flip_costs_one_block_at_most():
    starts = np.cumsum([len(part) for part in split(SMALL)])
    for bit in range(8 * int(starts[0]), 8 * len(SMALL)):
        blocks, damages = read_tolerant(flip(SMALL, bit))
        hurt = int(np.searchsorted(starts, bit // 8, side="right")) - 1
        assert [block.number for block in blocks] == [number for number in range(3) if number != hurt]
        assert len(damages) == 1


@pytest.mark.parametrize("channels", [1, 2])
def test_many_blocks_at_once_are_the_same_as_one_by_one(channels):
    """With raw ones, a skippable one and a short one among them, whole and damaged anywhere."""
    header = make_coded_header(channels=channels)
    tokens = few_tokens(header, 150)
    tokens[:, 20:28] = make_tokens(header, 8) | 0x20000
    tokens[:, 100:120] = tokens[:, 80:81]
    parts = split(make_file(header, tokens))
    head_crc = int.from_bytes(parts[0][-4:], "little")
    parts.insert(9, pack_block(head_crc, 8, SKIPPABLE | 1, b"unknown"))
    data = b"".join(parts)
    reader, found, _ = read_strict(data)
    np.testing.assert_array_equal(found, tokens)
    assert reader.summary and reader.summary.blocks == 38
    for bit in range(8 * len(parts[0]), 8 * len(data), 131):
        read = []
        for source in (io.BytesIO(flip(data, bit)), Piped(flip(data, bit))):
            damages: list[Damage] = []
            reader = Reader(source, damages.append, find_predictor)
            read.append(([block.tokens.tolist() for block in reader], damages, reader.bytes_read, reader.summary))
        assert read[0] == read[1]
        assert len(read[0][1]) == 1


def test_what_is_read_ahead_is_little_at_first_and_no_error_before_its_turn():
    data = make_file(HEADER, few_tokens(HEADER, 160))
    sizes = [len(part) for part in split(data)]

    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() + size > sum(sizes[:21]):
                raise OSError("the disk is gone")
            return super().read(size)

    source = Failing(data)
    blocks = iter(Reader(source, predictor=find_predictor))
    assert next(blocks).number == 0 and source.tell() == sum(sizes[:2])
    assert next(blocks).number == 1 and source.tell() <= sum(sizes[:5])
    assert [next(blocks).number for _ in range(18)] == list(range(2, 20))
    with pytest.raises(OSError, match="gone"):
        next(blocks)


def test_a_payload_that_is_too_long_is_told_of_in_its_turn():
    """However far it was read ahead, and whether or not its checksum is right."""
    header = make_coded_header(frames_per_block=40)
    parts = split(make_file(header, few_tokens(header, 400)))
    head_crc = int.from_bytes(parts[0][-4:], "little")
    parts[4] = pack_block(head_crc, 3, DATA | CODED, parts[4][8:-4] + b"\1" * 5)
    reader = Reader(io.BytesIO(b"".join(parts)), predictor=find_predictor)
    blocks = iter(reader)
    assert [next(blocks).number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(CorruptError, match=r"block 3 .* longer than its tokens"):
        next(blocks)


def test_without_its_predictor_a_file_is_checked_but_for_its_tokens():
    for predictor in (None, lambda header: None):
        report = verify(io.BytesIO(FILE), predictor)
        assert report.ok and not report.tokens_checked
        assert report.summary and report.summary.frames == 22
        assert not verify(io.BytesIO(flip(FILE, 8 * 60)), predictor).ok
    assert verify(io.BytesIO(FILE), find_predictor).tokens_checked
    assert verify(io.BytesIO(make_file(make_header(), TOKENS))).tokens_checked


def test_any_payload_gives_tokens_or_is_refused():
    """Whatever bytes come with right checksums, decoding ends and stays within the limits."""
    rng = np.random.default_rng(1)
    from hac_cli.container.coding import unpack_coded

    for size in (0, 1, 5, 60):
        (tokens,) = unpack_coded([rng.bytes(size)], 20, HEADER, PREDICTOR)
        assert tokens is None or (tokens.shape == (1, 20, 1) and 0 <= tokens.min() <= tokens.max() < 2**18)
    assert unpack_coded([bytes(400)], 1, HEADER, PREDICTOR) == [None]


@pytest.mark.parametrize(
    "data", [b"", b"HACP", PREDICTOR_BYTES[:-1], PREDICTOR_BYTES + b"\0", b"X" + PREDICTOR_BYTES[1:]]
)
def test_what_is_no_predictor_is_refused(data):
    with pytest.raises(ModelError):
        Predictor.from_bytes(data)


@pytest.mark.parametrize("header", [HEADER, make_header()], ids=["coded", "raw"])
def test_blocks_can_be_skipped(header):
    data = make_file(header, TOKENS)
    for number in range(8):
        reader = Reader(io.BytesIO(data), predictor=find_predictor)
        reader.skip_blocks(number)
        assert reader.frames_passed == 4 * min(number, 5)  # the last block is short
        assert [block.number for block in reader] == list(range(min(number, 5), 6))
        assert reader.summary and reader.summary.frames == 22
    hurt = flip(data, 8 * (len(split(data)[0]) + len(split(data)[1])))  # the sync of the second block
    reader = Reader(io.BytesIO(hurt), predictor=find_predictor)
    reader.skip_blocks(4)
    assert (reader.frames_passed, [block.number for block in reader]) == (16, [4, 5])
    head, *blocks = split(data)
    without_two = b"".join([head, blocks[0], *blocks[3:]])
    cut = b"".join([head, *blocks[:3]])
    for bad, number, wrong in ((hurt, 1, "block 1 .* is damaged"), (without_two, 2, "block 2 .* is missing"),
                               (cut, 4, "truncated")):  # fmt: skip
        reader = Reader(io.BytesIO(bad), predictor=find_predictor)
        reader.skip_blocks(number)
        with pytest.raises(CorruptError, match=wrong):
            list(reader)


def test_a_damaged_length_does_not_lead_a_skip_astray():
    """Found by fuzzing: what looked like a long block in front of good ones was passed over, and they with it."""
    head, *blocks = split(FILE)
    data = b"".join([head, BlockHeader(SKIPPABLE, 0, len(blocks[0]) + len(blocks[1])).pack(), *blocks])
    damages: list[Damage] = []
    reader = Reader(io.BytesIO(data), damages.append, find_predictor)
    reader.skip_blocks(2)
    assert [block.number for block in reader] == [2, 3, 4, 5] and not damages
