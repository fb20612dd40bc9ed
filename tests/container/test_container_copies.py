"""The header comes again between the blocks: for those whose first one is damaged, and for those who come later."""

from __future__ import annotations

import io

import numpy as np
import pytest
from container_files import (
    Piped,
    find_predictor,
    flip,
    make_coded_header,
    make_file,
    make_header,
    make_tokens,
    split,
    with_crc,
)

from hac_cli.container import Damage, Reader, verify
from hac_cli.container.blocks import HEADER_COPY, pack_block, pack_header_copy
from hac_cli.container.metadata import METADATA, pack_metadata
from hac_cli.errors import CorruptError

HEADER = make_header(frames_per_block=300, total_samples=None)
TOKENS = make_tokens(HEADER, 10_000)  # 133 s in 34 blocks
FILE = make_file(HEADER, TOKENS)
HEAD, *REST = split(FILE)
LIVE_HEADER = make_coded_header(compact=True, version=0x13)
LIVE_TOKENS = make_tokens(LIVE_HEADER, 40_000)  # 533 s in 10,000 blocks
LIVE = make_file(LIVE_HEADER, LIVE_TOKENS)
LIVE_HEAD, *LIVE_REST = split(LIVE)


def places(rest: list[bytes]) -> list[int]:
    """How many data blocks stand in front of each copy."""
    found = [index for index, block in enumerate(rest) if block[:3] == b"\xf5\xb1\x83"]
    return [index - earlier for earlier, index in enumerate(found)]


def read(data: bytes, live: bool = False) -> tuple[Reader, list[np.ndarray], list[Damage]]:
    damages: list[Damage] = []
    reader = Reader(Piped(data) if live else io.BytesIO(data), damages.append, find_predictor, live)
    return reader, [block.tokens for block in reader], damages


def test_copies_stand_every_64_seconds_and_every_8_in_a_live_stream():
    assert places(REST) == [16, 32]
    assert places(LIVE_REST) == list(range(150, 10_000, 150))
    for data in (FILE, LIVE):
        assert verify(io.BytesIO(data), find_predictor).ok


def test_a_file_survives_any_damage_of_its_header():
    for bit in range(0, 8 * len(HEAD), 5):
        with pytest.raises(CorruptError):
            Reader(io.BytesIO(flip(FILE, bit)))
        reader, blocks, damages = read(flip(FILE, bit))
        assert reader.header == HEADER and reader.summary
        np.testing.assert_array_equal(np.concatenate(blocks, 1), TOKENS)
        assert [(damage.first_frame, damage.frames) for damage in damages] == [(0, 0)]
        assert "copy" in damages[0].reason


def test_its_tags_survive_as_well():
    tags = {"title": "Kitchen"}
    metadata = pack_block(int.from_bytes(HEAD[-4:], "little"), 0, METADATA, pack_metadata(tags))
    data = flip(HEAD, 70) + metadata + b"".join(REST)
    reader = Reader(io.BytesIO(data), lambda _: None, find_predictor)
    assert reader.read_metadata() == tags
    np.testing.assert_array_equal(np.concatenate([block.tokens for block in reader], 1), TOKENS)


def test_a_header_of_a_later_version_is_not_searched_for():
    later = HEAD[:7] + b"\x80" + HEAD[8:]
    data = with_crc(later) + b"".join(REST)
    with pytest.raises(CorruptError, match=r"made by a newer HAC; update$"):
        read(data)


def test_what_stands_in_front_of_the_first_copy_is_read_as_well():
    _, blocks, damages = read(b"".join(REST[3:]))
    np.testing.assert_array_equal(np.concatenate(blocks, 1), TOKENS[:, 900:])
    assert [(damage.first_frame, damage.frames) for damage in damages] == [(0, 900)]


def test_whoever_listens_in_hears_from_the_next_copy_on_and_is_not_kept_waiting():
    after = LIVE.index(LIVE_REST[5000]) + 3
    copy = LIVE.index(b"\xf5\xb1\x83", after)

    class Stream(Piped):
        def read(self, size: int = -1, /) -> bytes:
            data = super().read(size)
            self.taken = self.tell()
            return data

    stream = Stream(LIVE[after:])
    damages: list[Damage] = []
    reader = Reader(stream, damages.append, find_predictor, live=True)
    assert stream.taken == copy - after + len(pack_header_copy(LIVE_HEAD, 0))
    assert reader.frames_passed == 4 * 5100
    blocks = [block.tokens for block in reader]
    np.testing.assert_array_equal(np.concatenate(blocks, 1), LIVE_TOKENS[:, 4 * 5100 :])
    assert [(damage.first_frame, damage.frames) for damage in damages] == [(4 * 5100, 0)]
    assert reader.summary and not reader.digest_checked


def test_a_copy_tells_the_number_of_compact_blocks_behind_a_long_hole():
    data = LIVE_HEAD + b"".join(LIVE_REST[:10] + LIVE_REST[8000:])
    first = next(place for place in places(LIVE_REST) if place >= 8000 - 8000 // 151)
    _, blocks, damages = read(data)
    np.testing.assert_array_equal(np.concatenate(blocks, 1)[:, 40:], LIVE_TOKENS[:, 4 * first :])
    assert [(damage.first_frame, damage.frames) for damage in damages] == [(40, 4 * first - 40)]
    with pytest.raises(CorruptError, match="checksum mismatch"):
        list(Reader(io.BytesIO(data), predictor=find_predictor))


@pytest.mark.parametrize(
    "copy",
    [
        flip(pack_header_copy(HEAD, 16), 200),
        flip(pack_header_copy(HEAD, 16), 30),
        pack_block(0, 16, HEADER_COPY, b"short"),
        pack_block(int.from_bytes(HEAD[-4:], "little"), 17, HEADER_COPY, bytes([16, 0, 0, 0]) + HEAD),
    ],
    ids=["damaged", "damaged front", "short", "two numbers"],
)
def test_a_copy_that_is_wrong_is_none(copy):
    with pytest.raises(CorruptError, match="header"):
        read(flip(HEAD, 99) + b"".join(REST[:16]) + copy)
    _, blocks, damages = read(HEAD + b"".join(REST[:16]) + copy + b"".join(REST[16:]))
    np.testing.assert_array_equal(np.concatenate(blocks, 1), TOKENS)
    assert [(damage.first_frame, damage.frames) for damage in damages] == [(4800, 0)]


def test_a_good_block_with_a_damaged_header_in_it_is_no_copy():
    copy = pack_header_copy(flip(HEAD, 33), 16)
    with pytest.raises(CorruptError, match="header"):
        read(flip(HEAD, 99) + b"".join(REST[:16]) + copy)
    assert read(HEAD + b"".join(REST[:16]) + copy + b"".join(REST[16:]))[2] == []


def test_a_copy_of_another_file_is_foreign():
    foreign = pack_header_copy(make_header(frames_per_block=300, sample_rate=8000).pack(), 16)
    _, blocks, damages = read(HEAD + b"".join(REST[:16]) + foreign + b"".join(REST[16:]))
    np.testing.assert_array_equal(np.concatenate(blocks, 1), TOKENS)
    assert [(damage.first_frame, damage.frames) for damage in damages] == [(4800, 0)]


def test_what_is_no_hac_file_is_given_up_after_a_mebibyte():
    class Endless(Piped):
        taken = 0

        def read(self, size: int = -1, /) -> bytes:
            self.taken += size
            return b"\xf5\xb1\x83!"[:size]

    stream = Endless()
    with pytest.raises(CorruptError, match=r"not a \.hac file"):
        Reader(stream, lambda _: None, live=True)
    assert stream.taken < 1.1 * 2**20


@pytest.mark.parametrize("place", range(12))
def test_a_copy_of_the_header_that_is_hurt_is_no_new_sender(place: int):
    """Its own frame, in front of the number and the header that it holds."""
    data = bytearray(LIVE_HEAD + b"".join(LIVE_REST))
    data[data.index(LIVE_HEAD, len(LIVE_HEAD)) - 12 + place] ^= 1
    _, blocks, damages = read(bytes(data), live=True)
    np.testing.assert_array_equal(np.concatenate(blocks, 1), LIVE_TOKENS)
    assert [damage.frames for damage in damages] == [0]


def test_a_sender_that_begins_anew_ends_what_is_heard():
    """At once, and not when its blocks' numbers have come as far as those before."""
    broken = LIVE[: len(LIVE_HEAD) + sum(map(len, LIVE_REST[:200])) - 3]
    other = make_coded_header(compact=True, version=0x13, sample_rate=16_000).pack()
    for header in (LIVE_HEAD, other):
        reader, blocks, damages = read(broken + header + b"".join(LIVE_REST), live=True)
        frames = 4 * (200 - len([place for place in places(LIVE_REST) if place < 199]) - 1)
        np.testing.assert_array_equal(np.concatenate(blocks, 1), LIVE_TOKENS[:, :frames])
        assert [(damage.first_frame, damage.frames) for damage in damages] == [(frames, None)]
        assert damages[0].reason.endswith("the sender began anew; run this again to hear more")
        assert reader.summary is None
