"""Layers in C compute what those in numpy do, and the same however a stream is cut."""

import numpy as np
import pytest

from hac_cli.compiled import is_there
from hac_cli.model import numpy_engine as numpy_engines
from hac_cli.model import numpy_layers
from hac_cli.model.numpy_engine import NumpyEngine
from hac_cli.model.numpy_layers import Block, Down, Matrix, Noise, Product, Snake, Up
from hac_cli.model.stream import DecoderStream, EncoderStream

pytestmark = pytest.mark.skipif(not is_there(), reason="the package was installed without a C compiler")
RANDOM = np.random.default_rng()


@pytest.fixture(autouse=True)
def same_numbers():
    """Whichever tests ran before: how near integers come goes by the weights."""
    RANDOM.bit_generator.state = np.random.default_rng(3).bit_generator.state


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def matrix(inputs, outputs, halves=False):
    weight = normal(inputs, outputs)
    if halves:  # weights that bfloat16 holds
        weight = (weight.view(np.uint32) & 0xFFFF0000).view(np.float32)
    return Matrix(weight, normal(outputs))


def product(inputs, outputs, halves=False):
    return Product(matrix(inputs, outputs, halves), inputs, inputs)


def block(channels, halves=False, dilation=2):
    wide, narrow = matrix(channels, 2 * channels, halves), matrix(2 * channels, channels, halves)
    snake = Snake(np.linspace(0.1, 2, 2 * channels, dtype=np.float32))
    return Block(normal(7, channels), dilation, wide, snake, narrow, normal(channels))


def up(channels, outputs, stride, multiplier):
    rising = Matrix(normal(channels, multiplier * outputs), np.zeros(multiplier * outputs, np.float32))
    return Up(rising, normal(stride, 2 * multiplier, outputs), normal(stride, outputs))


CHAINS = {
    **{f"{i} to {o}": lambda i=i, o=o: [product(i, o)] for i, o in ((1, 1), (40, 72), (72, 16), (33, 18), (320, 640))},
    **{f"{i} to {o}, halves": lambda i=i, o=o: [product(i, o, True)] for i, o in ((1, 1), (40, 72), (33, 18))},
    "three steps at once": lambda: [Product(matrix(60, 24), width=20, hop=20)],
    "first": lambda: [Product(matrix(40, 72), width=1, hop=20)],
    "last": lambda: [Product(matrix(48, 20), width=24, hop=24, outputs=1)],
    "snake": lambda: [Snake(np.linspace(0.1, 2, 20, dtype=np.float32))],
    "blocks": lambda: [block(20), block(20)],
    "blocks of 72, halves": lambda: [block(72, True, 1), block(72, True, 4)],
    "down": lambda: [Down(normal(2, 8, 20), matrix(40, 24), 4)],
    "down twice": lambda: [
        Down(normal(2, 4, 20), matrix(40, 24), 2), block(24), Down(normal(1, 4, 24), matrix(24, 8), 2),
    ],
    "up": lambda: [up(24, 20, 4, 2)],
    "up twice": lambda: [up(24, 20, 4, 2), Snake(np.full(20, 0.7, np.float32)), up(20, 12, 2, 1)],
    "noise": lambda: [Noise(matrix(20, 20), 16)],
    "all": lambda: [
        Product(matrix(40, 24), width=1, hop=20), block(24),
        Down(normal(2, 8, 24), matrix(48, 40, True), 4), block(40, True), Snake(np.full(40, 0.7, np.float32)),
        product(40, 18, True), up(18, 24, 4, 2), Noise(matrix(24, 24), 16),
        Product(matrix(48, 20), width=24, hop=24, outputs=1),
    ],
}  # fmt: skip


def input_for(layers, steps):
    first = layers[0]
    inputs = (
        first.matrix.inputs if isinstance(first, Up) else first.outputs if isinstance(first, Noise) else first.width
    )
    return normal(steps, inputs)


def assert_near(found, expected, decibels):
    """The RMS of the error is so far below that of what was expected."""
    assert found.shape == expected.shape
    assert np.square(found - expected).mean() * 10 ** (decibels / 10) < np.square(expected).mean()


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_the_same_in_c_as_in_numpy_and_in_pieces(name, integers):
    from hac_cli.model.compiled_layers import CODES, Chain

    layers = CHAINS[name]()
    x = input_for(layers, 80 * 9)
    plain, compiled = numpy_layers.Chain(layers), Chain(layers, integers)
    expected = plain(x, plain.fresh(3))
    whole = compiled(x, compiled.fresh(3))
    if integers:
        assert_near(whole, expected, 65 if len(layers) > 3 else 70)  # what every layer rounds off adds up
    else:
        np.testing.assert_allclose(whole, expected, rtol=0, atol=4e-6 * np.abs(expected).max())
    state = compiled.fresh(3)
    pieces = [compiled(piece, state) for piece in np.split(x, [80, 160, 480])]  # whole frames of all of them
    assert np.array_equal(np.concatenate(pieces), whole)
    for code in CODES[1:]:
        other = Chain(layers, integers, code)
        assert np.array_equal(other(x, other.fresh(3)), whole)
    simple = Chain(layers, code=CODES[0])
    assert_near(simple(x, simple.fresh(3)), expected, 100)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 96, 97, 200])
def test_any_number_of_rows(rows):
    from hac_cli.model.compiled_layers import CODES, Chain

    layers = [block(20), product(20, 33, True)]
    x, plain, compiled = normal(rows, 20), numpy_layers.Chain(layers), Chain(layers)
    expected = plain(x, plain.fresh())
    np.testing.assert_allclose(compiled(x, compiled.fresh()), expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    whole = Chain(layers, integers=True)
    assert_near(whole(x, whole.fresh()), expected, 65)
    for chain, integers in ((compiled, False), (whole, True)):
        outputs = [chain(x, chain.fresh()), *(Chain(layers, integers, code)(x, chain.fresh()) for code in CODES[1:])]
        assert all(np.array_equal(output, outputs[0]) for output in outputs)


def test_integers_never_overflow():
    """Inputs and weights whose sums are as large as they can be, and others that are nothing, or nearly."""
    from hac_cli.model.compiled_layers import Chain

    for inputs in (2, 72, 96, 98, 640):
        weight = np.ones((inputs, 7), np.float32) * np.float32([1, -1, 3e-5, 7e8, 0, 1e-38, 0.3])
        layers = [Product(Matrix(weight, np.zeros(7, np.float32)), inputs, inputs)]
        x = np.ones((5, inputs), np.float32) * np.float32([[1e8], [-1], [1e-8], [0], [1e-38]])
        plain, whole = numpy_layers.Chain(layers), Chain(layers, integers=True)
        expected = plain(x, plain.fresh())
        np.testing.assert_allclose(whole(x, whole.fresh()), expected, rtol=1e-3, atol=1e-26)  # all weights round alike


@pytest.mark.parametrize("channels", [1, 8, 20])
def test_snake_is_exact(channels):
    from hac_cli.model.compiled_layers import Chain

    x = np.linspace(-300, 300, 5000 * channels, dtype=np.float32).reshape(-1, channels)
    chain = Chain([Snake(np.full(channels, 0.7, np.float32))])
    error = np.abs(chain(x, chain.fresh()) - (x + np.sin(np.float64(np.float32(0.7)) * x) ** 2 / np.float32(0.7)))
    assert error.max() < 1e-4  # the spacing of floats at 300 is 3e-5
    assert error[np.abs(x) < 4].max() < 1e-6


def test_pieces_of_any_size_give_the_same_floats(numpy_engine):
    audio = (0.1 * np.random.default_rng(1).standard_normal((1, 320 * 120))).astype(np.float32)
    tokens = [coded(EncoderStream(numpy_engine, 1, frames), audio) for frames in (1, 7, 120)]
    assert all(np.array_equal(some, tokens[0]) for some in tokens)
    decoded = [coded(DecoderStream(numpy_engine, 1, frames), tokens[0]) for frames in (1, 7, 120)]
    assert all(np.array_equal(some, decoded[0]) for some in decoded)


def coded(stream, array):
    return np.concatenate([stream.push(array), stream.flush()], 1)


def test_the_engine_in_numpy_alone(numpy_engine, tiny, monkeypatch):
    audio = (0.1 * np.random.default_rng(1).standard_normal((1, 320 * 60))).astype(np.float32)
    compiled = coded(EncoderStream(numpy_engine, 1, 10), audio)
    decoded = coded(DecoderStream(numpy_engine, 1, 10), compiled)
    monkeypatch.setattr(numpy_engines, "Chain", numpy_layers.Chain)
    plain = NumpyEngine(tiny.config, {name: tensor.numpy() for name, tensor in tiny.state_dict().items()})
    tokens = coded(EncoderStream(plain, 1, 10), audio)
    assert isinstance(plain._encoder[0], numpy_layers.Chain) and not isinstance(
        numpy_engine._encoder[0], numpy_layers.Chain
    )
    assert np.array_equal(tokens, compiled)
    assert_near(decoded, coded(DecoderStream(plain, 1, 10), tokens), 60)
