"""Random damage: never a wrong token unseen, and what was not touched comes back."""

from __future__ import annotations

import random

import numpy as np
import pytest
from container_files import corrupt, make_file, make_header, make_tokens, read_strict, read_tolerant, split

from hac_cli.errors import CorruptError

HEADER = make_header()
TOKENS = make_tokens(HEADER, 22)
FILE = make_file(HEADER, TOKENS)
HEAD, *BLOCKS, _ = split(FILE)


def check_random_corruptions(seed: int, cases: int) -> None:
    rng = random.Random(seed)
    starts = [len(HEAD) + number * len(BLOCKS[0]) for number in range(6)]
    for _ in range(cases):
        data, hurt = corrupt(rng, FILE, len(HEAD))
        if data == FILE:
            continue
        with pytest.raises(CorruptError):
            read_strict(data)
        blocks, damages = read_tolerant(data)
        assert damages
        for block in blocks:
            np.testing.assert_array_equal(block.tokens, TOKENS[:, 4 * block.number : 4 * block.number + 4])
        untouched = {n for n in range(6) if hurt.isdisjoint(range(starts[n], starts[n] + len(BLOCKS[n])))}
        assert untouched <= {block.number for block in blocks}
        for _ in range(3):  # and worse, header included: no wrong token, no crash, no endless loop
            data, _ = corrupt(rng, data, 0)
        with pytest.raises(CorruptError):
            read_strict(data)
        try:
            blocks, damages = read_tolerant(data)
        except CorruptError:
            continue
        assert damages
        for block in blocks:
            np.testing.assert_array_equal(block.tokens, TOKENS[:, 4 * block.number : 4 * block.number + 4])


def test_random_corruptions_are_noticed_and_the_rest_recovered():
    check_random_corruptions(seed=1, cases=400)


@pytest.mark.slow
def test_many_random_corruptions_are_noticed_and_the_rest_recovered():
    check_random_corruptions(seed=2, cases=25_000)
