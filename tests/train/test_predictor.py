"""The predictor learns what there is to learn, and its integers keep it."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
from tiny_training import TINY

from hac_cli.container.predictor import Predictor
from hac_cli.errors import InputError, ModelError
from hac_cli.model.network import Codec
from hac_cli.model.release import save_release
from hac_cli.model.released import WEIGHTS
from hac_cli.train import predictor
from hac_cli.train.publish import publish


def test_a_file_that_cannot_be_read_is_skipped_and_said(folder, tmp_path):
    save_release(Codec(TINY), tmp_path / "tiny.safetensors", {})
    for speaker, content in (("dora", b"fLaC nothing"), ("emma", (folder / "berta" / "empty.wav").read_bytes())):
        (tmp_path / speaker).mkdir()
        (tmp_path / speaker / "one.wav").write_bytes(content)
    speakers, skipped = predictor.encode_speakers(tmp_path / "tiny.safetensors", [tmp_path, folder / "carl"])
    assert [sum(map(len, blocks)) for blocks in speakers] == [112]
    assert {path.parent.name for path in skipped} == {"dora", "emma"}


def test_what_follows_from_what_was_is_foretold():
    """Bits 0 and 1 are chance, bit 2 is both of them, bit 3 is the frame before's bit 0: half of it is knowledge."""
    random = np.random.default_rng(0)
    bits = random.integers(0, 2, (4, 1500, 4))
    bits[..., 2] = bits[..., 0] & bits[..., 1]
    bits[:, 1:, 3] = bits[:, :-1, 0]
    speakers = [list(np.split(signs, 5)) for signs in 2 * bits - 1]
    file = predictor.train(speakers[:3], look_back=1, hidden=12, epochs=30)
    assert predictor.share(file, speakers[3:]) == pytest.approx(0.53, abs=0.07)


def test_weights_are_published_with_a_predictor_and_digests(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(predictor, "EPOCHS", 1)
    shutil.copy(WEIGHTS / "released.json", tmp_path)
    weights = tmp_path / "tiny.safetensors"
    save_release(Codec(TINY), weights, {})
    weights.with_suffix(".discriminators").write_bytes(b"judges")
    voices = tmp_path / "voices"
    for speaker in ("dora", "emma"):
        shutil.copytree(folder / "carl", voices / speaker)
    assert "2 speakers; to " in publish("v1", weights, [voices], tmp_path)
    entries = {entry["name"]: entry for entry in json.loads((tmp_path / "released.json").read_text(encoding="utf-8"))}
    before = {entry["name"]: entry for entry in json.loads((WEIGHTS / "released.json").read_text(encoding="utf-8"))}
    assert {name for name, entry in entries.items() if entry != before[name]} == {"v1"}
    for suffix, key in ((".safetensors", "sha256"), (".predictor", "predictor_sha256")):
        content = (tmp_path / f"v1{suffix}").read_bytes()
        assert hashlib.sha256(content).hexdigest() == entries["v1"][key]
    assert Predictor.from_bytes(content) and (tmp_path / "v1.discriminators").read_bytes() == b"judges"
    names = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ModelError, match="there is no model 'v7'"):
        publish("v7", weights, [voices], tmp_path)
    with pytest.raises(InputError, match="takes two speakers at least"):
        publish("v2", weights, [folder / "carl"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
