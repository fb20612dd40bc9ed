"""Random damage: never a wrong token unseen, and every block that still stands comes back."""

from __future__ import annotations

import corruption
import pytest
from container_files import few_tokens, find_predictor, make_coded_header, make_file, make_header, make_tokens, split

RAW, CODED, COMPACT = make_header(), make_coded_header(), make_coded_header(compact=True, version=0x12)
LONG = make_header(hop_length=65_535)  # blocks of 11 s: a copy of the header in front of the sixth
FILES = {
    kind: make_file(header, few_tokens(header, 22))
    for kind, header in (("raw", RAW), ("coded", CODED), ("compact", COMPACT))
} | {"copies": make_file(LONG, few_tokens(LONG, 24))}


@pytest.mark.parametrize("kind", FILES)
def test_random_corruptions_are_noticed_and_the_rest_recovered(kind):
    corruption.run(FILES[kind], find_predictor, cases=300, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_many_random_corruptions_are_noticed_and_the_rest_recovered(kind):
    corruption.run(FILES[kind], find_predictor, cases=12_000, seed=2)


def standing(data: bytes, *files: bytes) -> list[int]:
    """Numbers of what must be recovered, once both readers have shown that it is."""
    known = {}
    for file in files:
        known |= corruption.read_known(file, find_predictor)
    head = split(files[0])[0]
    corruption.check(data, head, known, find_predictor)
    return [number for number, _ in corruption.standing(data, len(head), known)]


def test_nothing_is_due_behind_the_end_block_of_another_file():
    foreign = make_file(RAW, make_tokens(RAW, 22))
    head, *blocks, end = split(FILES["raw"])
    data = b"".join([head, *blocks[:2], split(foreign)[-1], *blocks[2:], end])
    assert standing(data, FILES["raw"], foreign) == [0, 1]


def test_the_next_block_can_make_up_for_a_lost_last_byte_and_lose_its_own_first():
    file = make_file(RAW, make_tokens(RAW, 22, start=93))
    head, *blocks, end = split(file)
    assert blocks[3][-1:] == blocks[4][:1] == b"\xf5"
    data = b"".join([head, *blocks[:3], blocks[3][:-1], *blocks[4:], end])
    assert standing(data, file) == [0, 1, 2, 3, 5]


def test_the_check_itself_would_notice():
    file, other = FILES["raw"], make_file(RAW, make_tokens(RAW, 22))
    head, *blocks, end = split(file)
    hurt = b"".join([head, *blocks[1:], end])
    known = corruption.read_known(file, find_predictor)
    wrong = {block: (number, None if block == end else tokens ^ 1) for block, (number, tokens) in known.items()}
    for data, expected, message in (
        (file, known, "strict reader"),
        (hurt, corruption.read_known(other, find_predictor), "a block is lost, or made up"),
        (hurt, wrong, "wrong tokens"),
    ):
        with pytest.raises(AssertionError, match=message):
            corruption.check(data, head, expected, find_predictor)
