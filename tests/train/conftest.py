from pathlib import Path

import numpy as np
import pytest
import soundfile

from hac_cli.train import data


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Three speakers, one corrupt file, one without samples, one text."""
    root = tmp_path_factory.mktemp("speech")
    random = np.random.default_rng(0)
    for speaker, rate in (("anna", 24_000), ("berta", 16_000), ("carl", 44_100)):
        (root / speaker).mkdir()
        soundfile.write(root / speaker / "one.flac", 0.1 * random.standard_normal(3 * rate // 2), rate)
    (root / "anna" / "broken.flac").write_bytes(b"fLaC nothing")
    soundfile.write(root / "berta" / "empty.wav", np.zeros(0), 16_000)
    (root / "anna" / "notes.txt").write_text("not audio")
    return root


@pytest.fixture(scope="session")
def corpus(folder, tmp_path_factory) -> data.Corpus:
    return data.load([data.Source(folder)], tmp_path_factory.mktemp("cache"))
