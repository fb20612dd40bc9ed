"""The compiled kernels compute what those in numpy do, and the same however many rows there are in a call."""

import numpy as np
import pytest

from hac_cli.compiled import is_there
from hac_cli.model import numpy_kernels, numpy_layers
from hac_cli.model.numpy_engine import NumpyEngine
from hac_cli.model.stream import DecoderStream, EncoderStream

pytestmark = pytest.mark.skipif(not is_there(), reason="the package was installed without a C compiler")


@pytest.fixture
def compiled():
    from hac_cli.model import compiled_kernels

    return compiled_kernels


@pytest.fixture
def normal():
    random = np.random.default_rng(3)
    return lambda *shape: random.standard_normal(shape).astype(np.float32)


def close(mine, theirs):
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 96, 97, 200])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (40, 72), (72, 16), (33, 18), (320, 640)])
def test_matrix(compiled, normal, rows, inputs, outputs):
    x, weight, bias = normal(rows, inputs), normal(inputs, outputs), normal(outputs)
    close(compiled.Matrix(weight, bias)(x), numpy_kernels.Matrix(weight, bias)(x))


def test_rows_that_overlap(compiled, normal):
    x, weight, bias = normal(30, 20), normal(60, 24), normal(24)
    rows = numpy_layers.windows(x, 3)
    assert np.array_equal(rows[5], x[5:8].ravel())
    close(compiled.Matrix(weight, bias)(rows), numpy_kernels.Matrix(weight, bias)(rows))


@pytest.mark.parametrize("channels", [1, 8, 12, 72])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(7, 1, 4), (8, 4, 1), (1, 1, 1)])
def test_depthwise(compiled, normal, channels, kernel, stride, dilation):
    seen, taps = normal(29 * stride + (kernel - 1) * dilation + 1, channels), normal(kernel, channels)
    y = [np.zeros((30, 2, channels), np.float32) for _ in range(2)]
    for kernels, into in zip((compiled, numpy_kernels), y, strict=True):
        kernels.depthwise(seen, taps, into[:, 1], stride, dilation)
    close(*y)


@pytest.mark.parametrize("channels", [1, 8, 20])
def test_snake(compiled, channels):
    x = np.linspace(-300, 300, 5000 * channels, dtype=np.float32).reshape(-1, channels)
    alpha = np.full(channels, 0.7, np.float32)
    u = np.float64(0.7) * x
    assert np.abs(compiled.snake(x, alpha) - (u + np.sin(u) ** 2)).max() < 1e-4  # the spacing of floats at 300 is 3e-5
    small = np.abs(x) < 4
    assert np.abs(compiled.snake(x, alpha) - (u + np.sin(u) ** 2))[small].max() < 1e-6


@pytest.mark.parametrize("rows", [1, 3, 96, 100, 250])
@pytest.mark.parametrize("channels", [8, 12, 72])
def test_block(compiled, normal, rows, channels):
    seen, taps = normal(rows + 12, channels), normal(7, channels)
    matrices = [
        (normal(channels, 2 * channels), normal(2 * channels)),
        (normal(2 * channels, channels), normal(channels)),
    ]
    mine, theirs = (kernels.block(seen, taps, 2, *(kernels.Matrix(*matrix) for matrix in matrices))
                    for kernels in (compiled, numpy_kernels))  # fmt: skip
    close(mine, theirs)


def test_pieces_of_any_size_give_the_same_floats(numpy_engine):
    audio = (0.1 * np.random.default_rng(1).standard_normal((1, 320 * 120))).astype(np.float32)
    tokens = [coded(EncoderStream(numpy_engine, 1, frames), audio) for frames in (1, 7, 120)]
    assert all(np.array_equal(some, tokens[0]) for some in tokens)
    decoded = [coded(DecoderStream(numpy_engine, 1, frames), tokens[0]) for frames in (1, 7, 120)]
    assert all(np.array_equal(some, decoded[0]) for some in decoded)


def coded(stream, array):
    return np.concatenate([stream.push(array), stream.flush()], 1)


def test_the_engine_in_numpy_alone(numpy_engine, tiny, monkeypatch):
    monkeypatch.setattr(numpy_layers, "kernels", numpy_kernels)
    plain = NumpyEngine(tiny.config, {name: tensor.numpy() for name, tensor in tiny.state_dict().items()})
    assert isinstance(plain.encoder_layers[-1].matrix, numpy_kernels.Matrix)
    assert not isinstance(numpy_engine.encoder_layers[-1].matrix, numpy_kernels.Matrix)
    audio = (0.1 * np.random.default_rng(1).standard_normal((1, 320 * 60))).astype(np.float32)
    tokens = coded(EncoderStream(plain, 1, 10), audio)
    assert np.array_equal(tokens, coded(EncoderStream(numpy_engine, 1, 10), audio))
    close(coded(DecoderStream(numpy_engine, 1, 10), tokens), coded(DecoderStream(plain, 1, 10), tokens))
