"""What fuzzing has found interesting so far, once more, and some shapes to start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import reader_fuzz

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


def test_the_corpus_is_there():
    assert len(CORPUS) > 10


@pytest.mark.parametrize("part", range(4))
def test_both_decoders_agree_on_what_fuzzing_found(part):
    for path in CORPUS[part::4]:
        reader_fuzz.run(path.read_bytes())
