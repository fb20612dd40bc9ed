"""The predictor learns what there is to learn, and its integers keep it."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_training import TINY

from hac_cli.model.network import Codec
from hac_cli.model.release import save_release
from hac_cli.train import predictor


def test_a_file_that_cannot_be_read_is_skipped_and_said(folder, tmp_path):
    save_release(Codec(TINY), tmp_path / "tiny.safetensors", {})
    for speaker, content in (("dora", b"fLaC nothing"), ("emma", (folder / "berta" / "empty.wav").read_bytes())):
        (tmp_path / speaker).mkdir()
        (tmp_path / speaker / "one.wav").write_bytes(content)
    speakers, bits, skipped = predictor.encode_speakers(tmp_path / "tiny.safetensors", [tmp_path, folder / "carl"])
    assert [signs.shape for signs in speakers] == [(112, bits)]
    assert {path.parent.name for path in skipped} == {"dora", "emma"}


def test_what_follows_from_what_was_is_foretold():
    """Bits 0 and 1 are chance, bit 2 is both of them, bit 3 is the frame before's bit 0: half of it is knowledge."""
    random = np.random.default_rng(0)
    bits = random.integers(0, 2, (4, 1500, 4))
    bits[..., 2] = bits[..., 0] & bits[..., 1]
    bits[:, 1:, 3] = bits[:, :-1, 0]
    speakers = list(2 * bits - 1)
    file = predictor.train(speakers[:3], bits=4, look_back=1, hidden=12, epochs=30)
    assert predictor.share(file, speakers[3:]) == pytest.approx(0.53, abs=0.07)
