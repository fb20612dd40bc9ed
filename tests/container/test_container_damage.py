"""Nothing that happens to a file goes unseen, and what is left of it is found."""

from __future__ import annotations

import io
import random
import tracemalloc

import numpy as np
import pytest
from container_files import (
    flip,
    make_file,
    make_header,
    make_tokens,
    read_strict,
    read_tolerant,
    split,
    with_crc,
)

from hac_cli.container import Damage, Reader, verify
from hac_cli.container.blocks import SKIPPABLE, BlockHeader, pack_block
from hac_cli.container.header import header_crc
from hac_cli.container.metadata import METADATA
from hac_cli.errors import CorruptError

HEADER = make_header()
TOKENS = make_tokens(HEADER, 22)  # blocks 0 to 4 of four frames, block 5 of two
FILE = make_file(HEADER, TOKENS)
HEAD, *BLOCKS, END = split(FILE)
CRC = header_crc(HEAD)


def join(*parts: bytes) -> bytes:
    return HEAD + b"".join(parts)


def check_tolerant(data: bytes, numbers: list[int], damages: list[Damage]) -> None:
    """The blocks with these numbers come back as they were written, and the damages are exactly these."""
    blocks, found = read_tolerant(data)
    assert [block.number for block in blocks] == numbers
    for block in blocks:
        np.testing.assert_array_equal(block.tokens, TOKENS[:, 4 * block.number : 4 * block.number + 4])
    assert [(d.first_frame, d.frames) for d in found] == [(d.first_frame, d.frames) for d in damages]
    for damage, wanted in zip(found, damages, strict=True):
        assert wanted.reason in damage.reason


def test_every_single_bit_flip_is_noticed():
    data = make_file(HEADER, TOKENS[:, :10])
    for bit in range(8 * len(data)):
        with pytest.raises(CorruptError):
            read_strict(flip(data, bit))


def test_every_single_bit_flip_behind_the_header_costs_one_block_at_most():
    data = make_file(HEADER, TOKENS[:, :10])
    for bit in range(8 * len(HEAD), 8 * len(data)):
        blocks, damages = read_tolerant(flip(data, bit))
        hurt = 3 if bit // 8 >= len(data) - len(END) else (bit // 8 - len(HEAD)) // len(BLOCKS[0])
        assert [block.number for block in blocks] == [number for number in range(3) if number != hurt]
        lost = 10 - sum(block.tokens.shape[1] for block in blocks)
        assert [(d.first_frame, d.frames) for d in damages] == [(min(4 * hurt, 10), lost if hurt < 3 else None)]


def test_every_truncation_is_noticed_and_says_how_far_the_file_is_good():
    for size in range(len(FILE)):
        with pytest.raises(CorruptError) as caught:
            read_strict(FILE[:size])
        if size >= len(HEAD):
            good = min((size - len(HEAD)) // len(BLOCKS[0]), 5) * 4
            good = 22 if size >= len(FILE) - len(END) else good
            assert caught.value.message.startswith(f"truncated: it is good up to {good / 75:.1f} s")
            blocks, damages = read_tolerant(FILE[:size])
            assert sum(block.tokens.shape[1] for block in blocks) == good
            assert [(damage.first_frame, damage.frames) for damage in damages] == [(good, None)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            join(*BLOCKS[:2], flip(BLOCKS[2], 70), *BLOCKS[3:], END),
            r"block 2 \(0.1 s to 0.2 s\) is damaged: check",
        ),
        (join(*BLOCKS[:2], *BLOCKS[3:], END), r"block 2 \(0.1 s to 0.2 s\) is missing"),
        (join(*BLOCKS[:5], END), r"block 5 \(0.3 s to 0.3 s\) is missing"),
        (join(*BLOCKS[:2], *BLOCKS[1:], END), "block 2 .* is damaged: checksum"),
        (join(*BLOCKS[:2], b"?", *BLOCKS[2:], END), "block 2 .* no block begins"),
        (join(*BLOCKS, flip(END, 80)), "the end block is damaged: checksum"),
        (join(*BLOCKS, END, b"\0"), "bytes follow the end block"),
        (join(*BLOCKS, END, FILE), "another .hac file follows the end block"),
        (join(*BLOCKS[:2], pack_block(CRC, 2, 0x03, b""), *BLOCKS[2:], END), "type 0x03 .*made by a newer HAC"),
        (join(flip(pack_block(CRC, 0, SKIPPABLE, b"!"), 64), *BLOCKS, END), "a block of type 0x80 before block 0"),
    ],
)
def test_strict_messages_name_block_and_time(data, words):
    with pytest.raises(CorruptError, match=words) as caught:
        read_strict(data)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "numbers", "damages"),
    [
        (join(*BLOCKS[:2], *BLOCKS[3:], END), [0, 1, 3, 4, 5], [Damage(8, 4, "missing")]),
        (join(*BLOCKS[3:], END), [3, 4, 5], [Damage(0, 12, "missing")]),
        (join(*BLOCKS[:3], END), [0, 1, 2], [Damage(12, 10, "missing")]),
        (join(END), [], [Damage(0, 22, "missing")]),
        (join(*BLOCKS[:2], *BLOCKS[1:], END), [0, 1, 2, 3, 4, 5], [Damage(8, 0, "checksum")]),
        (
            join(BLOCKS[0], BLOCKS[2], BLOCKS[1], *BLOCKS[3:], END),
            [0, 2, 3, 4, 5],
            [Damage(4, 4, "missing"), Damage(12, 0, "checksum")],
        ),
        (join(*BLOCKS[:2], b"noise" * 99, *BLOCKS[2:], END), [0, 1, 2, 3, 4, 5], [Damage(8, 0, "no block")]),
        (join(*BLOCKS[:2], BLOCKS[2][:9], *BLOCKS[3:], END), [0, 1, 3, 4, 5], [Damage(8, 4, "checksum")]),
        (join(*BLOCKS[:2], BLOCKS[2][3:], *BLOCKS[3:], END), [0, 1, 3, 4, 5], [Damage(8, 4, "no block")]),
        (join(*BLOCKS[:5], BLOCKS[5][:-2], END), [0, 1, 2, 3, 4], [Damage(20, 2, "checksum")]),
        (join(*BLOCKS[:2]), [0, 1], [Damage(8, None, "truncated; no end block")]),
        (join(*BLOCKS, flip(END, 100)), [0, 1, 2, 3, 4, 5], [Damage(22, None, "checksum mismatch; no end block")]),
        (join(*BLOCKS, END, b"more"), [0, 1, 2, 3, 4, 5], [Damage(22, 0, "bytes follow")]),
        (
            join(flip(BLOCKS[0], 3), pack_block(CRC, 1, SKIPPABLE, b"x"), *BLOCKS[1:], END),
            [1, 2, 3, 4, 5],
            [Damage(0, 4, "no block")],
        ),
        (join(*BLOCKS[:5], pack_block(CRC, 6, SKIPPABLE, b"x"), END), [0, 1, 2, 3, 4], [Damage(20, 2, "missing")]),
    ],
)
def test_a_tolerant_reader_knows_what_is_lost(data, numbers, damages):
    check_tolerant(data, numbers, damages)
    with pytest.raises(CorruptError):
        read_strict(data)


@pytest.mark.parametrize("others", [{"sample_rate": 8000}, {"weights_digest": bytes(8)}, {"total_samples": 4}])
def test_a_block_of_a_file_with_another_header_is_noticed(others):
    foreign = split(make_file(make_header(**others), make_tokens(HEADER, 22, start=500)))[3]
    check_tolerant(join(*BLOCKS[:2], foreign, *BLOCKS[3:], END), [0, 1, 3, 4, 5], [Damage(8, 4, "checksum")])


def test_a_block_of_a_file_with_the_same_header_is_noticed_by_the_digest():
    foreign = split(make_file(HEADER, make_tokens(HEADER, 22, start=500)))[3]
    data = join(*BLOCKS[:2], foreign, *BLOCKS[3:], END)
    with pytest.raises(CorruptError, match="digest mismatch"):
        read_strict(data)
    blocks, damages = read_tolerant(data)
    assert len(blocks) == 6
    assert [(damage.first_frame, damage.frames) for damage in damages] == [(0, 22)]


@pytest.mark.parametrize(("turns", "found"), [(1, True), (2, True), (15, True), (16, False)])
def test_holes_of_whole_turns_of_the_number_are_noticed(turns, found):
    lost = turns * 65536
    data = join(BLOCKS[0], pack_block(CRC, 1 + lost, 1, BLOCKS[1][8:-4]))
    with pytest.raises(CorruptError, match="block 1 .* is missing" if found else "checksum mismatch"):
        read_strict(data)
    blocks, damages = read_tolerant(data)
    assert [block.number for block in blocks] == ([0, 1 + lost] if found else [0])
    assert damages[0].frames == (4 * lost if found else None)


def test_an_end_block_of_a_shorter_file_is_foreign():
    shorter = split(make_file(HEADER, TOKENS[:, :8]))[-1]
    check_tolerant(join(*BLOCKS[:3], shorter, *BLOCKS[3:], END), [0, 1, 2, 3, 4, 5], [Damage(12, 0, "checksum")])


def test_the_check_byte_notices_any_one_or_two_wrong_bits():
    for one in range(64):
        for other in range(one + 1):
            start = flip(BLOCKS[1][:8], one)
            start = start if one == other else flip(start, other)
            with pytest.raises(CorruptError, match="no block begins"):
                BlockHeader.unpack(start)


def test_a_wrong_length_is_not_waited_for():
    note = pack_block(CRC, 0, SKIPPABLE, bytes(300))
    for bit in range(40, 56):
        source = Watched(join(flip(note, bit), *BLOCKS, END))
        with pytest.raises(CorruptError, match="no block begins"):
            list(Reader(source))
        assert source.tell() == len(HEAD) + 8


def test_verify_reports_everything():
    report = verify(io.BytesIO(join(BLOCKS[0], *BLOCKS[2:], b"?", END)))
    assert not report.ok
    assert report.header == HEADER
    assert [(d.first_frame, d.frames) for d in report.damages] == [(4, 4), (22, 0)]
    assert report.blocks == 5
    assert report.summary and report.summary.frames == 22
    good = verify(io.BytesIO(FILE))
    assert good.ok and good.bytes_read == len(FILE) and good.blocks == 6
    cut = verify(io.BytesIO(FILE[:-1]))
    assert not cut.ok and cut.summary is None
    with pytest.raises(CorruptError):
        verify(io.BytesIO(b"not a file"))


class Watched(io.BytesIO):
    """A source that remembers the largest read."""

    largest = 0

    def read(self, size=-1):
        self.largest = max(self.largest, size)
        return super().read(size)


def test_memory_and_reads_are_bounded_whatever_follows_the_header():
    rng = random.Random(1)
    head = with_crc(HEAD[:18] + b"\x00\x10" + HEAD[20:])  # blocks of 4096 frames: 9216 bytes each
    syncs = b"".join(b"\xf5\xb1" + rng.randbytes(6) for _ in range(20000))
    source = Watched(head + rng.randbytes(100_000) + bytes(100_000) + syncs)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    report = verify(source)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert [(damage.first_frame, damage.frames) for damage in report.damages] == [(0, None)]
    assert report.bytes_read == len(source.getvalue())
    assert source.largest <= 8 + 65535 + 4
    assert peak < 400_000


def test_metadata_is_there_before_the_first_tokens_or_is_refused():
    tags = pack_block(CRC, 0, METADATA, b"title=a\0")
    reader = Reader(io.BytesIO(join(pack_block(CRC, 0, SKIPPABLE | 15, b"x"), tags, *BLOCKS, END)))
    assert reader.read_metadata() == {"title": "a"}
    assert len(list(reader)) == 6
    late = Reader(io.BytesIO(join(BLOCKS[0], pack_block(CRC, 1, METADATA, b"title=a\0"), *BLOCKS[1:], END)))
    assert len(list(late)) == 6 and not late.metadata
    moved = Reader(io.BytesIO(join(pack_block(CRC, 3, METADATA, b"title=a\0"), *BLOCKS, END)))
    moved.read_metadata()
    with pytest.raises(CorruptError, match=r"block 0 .* is missing"):
        list(moved)


def test_leaving_and_coming_back_goes_on_where_it_was():
    reader = Reader(io.BytesIO(FILE))
    assert next(iter(reader)).number == 0
    assert [block.number for block in reader] == [1, 2, 3, 4, 5]
    assert list(reader) == []
