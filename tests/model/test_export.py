"""The exported network under ONNX Runtime, as someone else's program would run it."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile

import hac_cli
from hac_cli.cli.app import run

SAMPLE = Path(__file__).parents[2] / "samples" / "speech.wav"


class Exported:
    """A stream through one exported file: states of zeros first, then what came out."""

    def __init__(self, path, channels):
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.given, *states = self.session.get_inputs()
        self.states = {state.name: np.zeros([channels, *state.shape[1:]], np.float32) for state in states}

    def push(self, array):
        names = [output.name for output in self.session.get_outputs()]
        results = dict(zip(names, self.session.run(None, self.states | {self.given.name: array}), strict=True))
        self.states = {name: results[f"next_{name}"] for name in self.states}
        return results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    assert run(["export", "--onnx", str(folder), "-q"]) == 0
    return folder


def test_the_export_codes_as_the_codec_does(folder):
    audio, _ = soundfile.read(SAMPLE, dtype="float32")
    audio = np.stack([audio[:48_000], -audio[48_000:96_000]])
    encoder, decoder = (Exported(folder / f"v2-{side}.onnx", 2) for side in ("encoder", "decoder"))
    parts = [encoder.push(audio[:, start : start + 960])["tokens"] for start in range(0, 48_000, 960)]
    tokens = np.concatenate(parts, 1)
    assert np.array_equal(tokens, hac_cli.encode(audio, effort="fast")[:, :150])
    heard = np.concatenate([decoder.push(tokens[:, :1])["audio"], decoder.push(tokens[:, 1:])["audio"]], 1)
    expected, late = hac_cli.decode(tokens, engine="torch"), hac_cli.load_model("v2").config.look_ahead
    assert np.abs(heard[:, late:] - expected).max() < 1e-4 < np.abs(expected).max()


def test_the_export_says_what_it_is(folder):
    model = hac_cli.load_model()
    about = onnxruntime.InferenceSession(folder / "v2-decoder.onnx").get_modelmeta().custom_metadata_map
    assert about["hop_length"] == "320" and about["look_ahead"] == str(model.config.look_ahead)
    assert about["model"] == "v2" and len(about["weights_sha256"]) == 64
    assert about["noise_steps_per_frame"] == "16"
    assert sorted(path.name for path in folder.iterdir()) == ["v2-decoder.onnx", "v2-encoder.onnx"]


def test_a_folder_that_is_a_file_is_refused(tmp_path, capfd):
    (tmp_path / "file").write_text("not a folder")
    assert run(["export", "--onnx", str(tmp_path / "file")]) == 4
    assert "can't be written" in capfd.readouterr().err
