"""The compiled payload coding writes the same bytes as that in Python, and reads the same from any bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hac_cli.compiled import is_there
from hac_cli.container import Predictor, plain_coding

pytestmark = pytest.mark.skipif(not is_there(), reason="the package was installed without a C compiler")


@st.composite
def predictors(draw):
    """Of any shape, with weights up to the largest that a file may hold, so that logits leave the table as well."""
    bits, look_back, hidden = draw(st.integers(1, 40)), draw(st.integers(1, 4)), draw(st.integers(1, 30))
    largest = draw(st.sampled_from([1, 20, 127]))
    random = np.random.default_rng(draw(st.integers(0, 99)))

    def whole(*shape):
        return random.integers(-largest, largest + 1, shape)

    past, present, out = whole(hidden, look_back * bits), whole(bits, hidden), whole(bits, hidden)
    data = Predictor.pack(past, present, whole(hidden) * 200, out, whole(bits) * 200)
    return Predictor.from_bytes(data)


@settings(max_examples=60, deadline=None)
@given(predictors(), st.integers(0, 9), st.integers(1, 3), st.integers(0, 99))
def test_signs_give_the_same_bytes_and_come_back(predictor, frames, channels, seed):
    from hac_cli.container import compiled_coding

    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (frames, channels, predictor.bits))
    payload = compiled_coding.encode(signs, predictor)
    assert payload == plain_coding.encode(signs, predictor)
    for coding in (compiled_coding, plain_coding):
        (back,) = coding.decode([payload], frames, channels, predictor)
        assert np.array_equal(back, signs)


@settings(max_examples=60, deadline=None)
@given(predictors(), st.lists(st.binary(max_size=60), min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 2))
def test_any_bytes_give_the_same_signs(predictor, payloads, frames, channels):
    from hac_cli.container import compiled_coding

    blocks = [coding.decode(payloads, frames, channels, predictor) for coding in (compiled_coding, plain_coding)]
    for mine, theirs in zip(*blocks, strict=True):
        assert (mine is None) == (theirs is None) and (mine is None or np.array_equal(mine, theirs))
