"""Both engines run the same network: the same tokens, the same audio, in a file or in odd pieces."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import hac_cli
from hac_cli.errors import ModelError, UsageError
from hac_cli.model import released
from hac_cli.model.engine import load_weights
from hac_cli.model.numpy_engine import Chain, Part
from hac_cli.model.stream import DecoderStream, EncoderStream

SAMPLE = str(Path(__file__).parents[2] / "samples" / "speech.wav")


def db(power):
    return 10 * np.log10(power)


@pytest.fixture(scope="module")
def speech():
    audio, sample_rate = soundfile.read(SAMPLE, dtype="float32")
    assert sample_rate == 24_000
    return audio[None, : 8 * sample_rate]


def test_latents_agree(numpy_engine, torch_engine):
    import torch

    audio = (0.1 * np.random.default_rng(1).standard_normal((2, 9600))).astype(np.float32)
    mine = Part(Chain(numpy_engine.encoder_layers), 2)(numpy_engine.scaled(audio))
    network = torch_engine.network
    theirs, _ = network.encode(torch.from_numpy(audio), network.fresh_encoder(2))
    assert np.abs(mine - theirs.numpy()).max() < 1e-4 < np.abs(mine).max()


@pytest.mark.parametrize(("frames_per_call", "seconds"), [(75, 8), (3, 2)])
def test_every_released_model_codes_speech_alike_in_both_engines(speech, frames_per_call, seconds):
    speech = speech[:, : seconds * 24_000]
    for model in released.released():
        numpy, torch = (hac_cli.load_model(model.name, name) for name in ("numpy", "torch"))
        tokens = coded(EncoderStream(torch, 1, frames_per_call), speech)
        assert np.array_equal(coded(EncoderStream(numpy, 1, frames_per_call), speech), tokens)
        expected = coded(DecoderStream(torch, 1, frames_per_call), tokens)
        error = coded(DecoderStream(numpy, 1, frames_per_call), tokens) - expected
        assert db(np.square(expected).mean()) - db(np.square(error).mean()) > 60


def coded(stream, array):
    pieces = np.array_split(array, 7, axis=1)
    return np.concatenate([*(stream.push(piece) for piece in pieces), stream.flush()], 1)


def test_an_unknown_engine_or_device_is_refused():
    for name in ("onnx", "numpy:cuda", "torch:toaster"):
        with pytest.raises(UsageError):
            hac_cli.load_model(engine=name)


def test_weights_that_are_cut_off_are_refused(tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(released.find("v2").path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="don't hold the network"):
        DecoderStream(load_weights(path)), EncoderStream(load_weights(path))


def test_coding_with_numpy_never_loads_torch():
    code = (
        "import sys, numpy, hac_cli; tokens = hac_cli.encode(numpy.zeros(2400)); hac_cli.decode(tokens);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
