"""Random damage: never a wrong token unseen, and what was not touched comes back."""

from __future__ import annotations

import random

import numpy as np
import pytest
from container_files import (
    corrupt,
    few_tokens,
    make_coded_header,
    make_file,
    make_header,
    read_strict,
    read_tolerant,
    split,
)

from hac_cli.errors import CorruptError

RAW, CODED = make_header(), make_coded_header()
FILES = {"raw": make_file(RAW, few_tokens(RAW, 22)), "coded": make_file(CODED, few_tokens(CODED, 22))}
TOKENS = few_tokens(RAW, 22)


def check_random_corruptions(kind: str, seed: int, cases: int) -> None:
    rng = random.Random(seed)
    whole = FILES[kind]
    head, *parts, _ = split(whole)
    starts = [len(head) + sum(map(len, parts[:number])) for number in range(6)]
    for _ in range(cases):
        data, hurt = corrupt(rng, whole, len(head))
        if data == whole:
            continue
        with pytest.raises(CorruptError):
            read_strict(data)
        blocks, damages = read_tolerant(data)
        assert damages
        for block in blocks:
            np.testing.assert_array_equal(block.tokens, TOKENS[:, 4 * block.number : 4 * block.number + 4])
        untouched = {n for n in range(6) if hurt.isdisjoint(range(starts[n], starts[n] + len(parts[n])))}
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


@pytest.mark.parametrize("kind", FILES)
def test_random_corruptions_are_noticed_and_the_rest_recovered(kind):
    check_random_corruptions(kind, seed=1, cases=300)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_many_random_corruptions_are_noticed_and_the_rest_recovered(kind):
    check_random_corruptions(kind, seed=2, cases=12_000)
