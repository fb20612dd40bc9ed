"""Small ``.hac`` files for the tests, and the means to take them apart."""

from __future__ import annotations

import io
import random
import zlib

import numpy as np

from hac_cli.container import Block, Damage, Header, Predictor, Reader, Writer
from hac_cli.container.blocks import BLOCK_HEADER_SIZE, BlockHeader

DIGEST = bytes.fromhex("0011223344556677")


def make_header(**changes) -> Header:
    """Mono at 16 kHz with blocks of 4 frames, so that files of several blocks stay small."""
    values = {"sample_rate": 16000, "channels": 1, "model_id": 1, "weights_digest": DIGEST, "frames_per_block": 4,
              "version": 0x10}  # fmt: skip
    return Header(**values | changes)


def make_tokens(header: Header, frames: int, start: int = 1) -> np.ndarray:
    """Tokens that look random and are the same on every machine and with every numpy."""
    shape = (header.channels, frames, header.tokens_per_frame)
    count = np.arange(start, start + int(np.prod(shape)), dtype=np.uint64).reshape(shape)
    return ((count * 2654435761 >> 5) % 2**header.bits_per_token).astype(np.int32)


def make_predictor(bits: int = 18, look_back: int = 2, hidden: int = 8) -> bytes:
    """Weights that mean nothing, of all sizes and signs, and biases that expect :func:`few_tokens`."""

    def weights(*shape: int) -> np.ndarray:
        count = np.arange(1, 1 + int(np.prod(shape)), dtype=np.uint64).reshape(shape)
        return (count * 2654435761 >> 9).astype(np.int64) % 61 - 30

    out_bias = np.where(np.arange(bits) % 18 < 6, 100, -20000)
    arrays = weights(hidden, look_back * bits), weights(bits, hidden), weights(hidden), weights(bits, hidden)
    return Predictor.pack(*arrays, out_bias)


PREDICTOR_BYTES = make_predictor()
PREDICTOR = Predictor.from_bytes(PREDICTOR_BYTES)
PREDICTOR_FILE = "small.predictor"  # where it lies among the vectors


def make_coded_header(**changes) -> Header:
    """As :func:`make_header`, of payload coding 1."""
    return make_header(**({"payload_coding": 1, "predictor_digest": PREDICTOR.digest, "version": 0x11} | changes))


def few_tokens(header: Header, frames: int, start: int = 1) -> np.ndarray:
    """Tokens in which little is set, so that coding pays."""
    return make_tokens(header, frames, start) & 0x3F


def find_predictor(header: Header) -> Predictor | None:
    return PREDICTOR if header.predictor_digest == PREDICTOR.digest else None


def make_file(header: Header, tokens: np.ndarray, samples: int | None = None, gains: np.ndarray | None = None) -> bytes:
    if samples is None:
        samples = tokens.shape[1] * header.hop_length * header.sample_rate // 24000
    sink = io.BytesIO()
    writer = Writer(sink, header, find_predictor(header))
    writer.write(tokens, gains)
    writer.finish(samples)
    return sink.getvalue()


def read_strict(data: bytes) -> tuple[Reader, np.ndarray, np.ndarray]:
    """All tokens and gains of a file; raises CorruptError as the reader does."""
    reader = Reader(io.BytesIO(data), predictor=find_predictor)
    header = reader.header
    tokens = [np.empty((header.channels, 0, header.tokens_per_frame), np.int32)]
    gains = [np.empty((header.gain_rows, 0), np.int8)]
    for block in reader:
        tokens.append(block.tokens)
        gains.append(block.gains)
    return reader, np.concatenate(tokens, 1), np.concatenate(gains, 1)


class Piped(io.BytesIO):
    """Bytes that can't be turned back, so that nobody reads ahead of what he needs."""

    def seekable(self) -> bool:
        return False


def read_tolerant(data: bytes) -> tuple[list[Block], list[Damage]]:
    damages: list[Damage] = []
    return list(Reader(io.BytesIO(data), damages.append, find_predictor)), damages


def split(data: bytes) -> list[bytes]:
    """A good file's header and blocks, the end block last."""
    parts, offset = [data[: data[5]]], data[5]
    header = Header.unpack(parts[0])
    while offset < len(data):
        compact = BlockHeader.unpack_compact(data[offset : offset + 3], header) if header.compact else None
        size = (compact or BlockHeader.unpack(data[offset : offset + BLOCK_HEADER_SIZE])).block_size
        parts.append(data[offset : offset + size])
        offset += size
    return parts


def with_crc(header: bytes) -> bytes:
    """Header bytes with their CRC made right again."""
    return header[:-4] + zlib.crc32(header[:-4]).to_bytes(4, "little")


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def corrupt(rng: random.Random, data: bytes, first: int) -> tuple[bytes, set[int]]:
    """Change, insert, lose, or repeat some bytes from ``first`` on; the data, and where bytes were hurt."""
    at = rng.randrange(first, len(data) + 1)
    count = min(rng.choice([1, 2, 3, 8, 30, 100]), len(data) - at)
    kind = rng.choice(["scramble", "zero", "insert", "lose", "repeat"])
    if kind in ("insert", "repeat"):
        source = rng.randrange(first, at + 1)
        new = rng.randbytes(count) if kind == "insert" else data[source : source + count]
        return data[:at] + new + data[at:], {at - 1, at}
    new = {"scramble": rng.randbytes(count), "zero": bytes(count), "lose": b""}[kind]
    hurt = {at - 1, at + count} if kind == "lose" else set()
    return data[:at] + new + data[at + count :], hurt | set(range(at, at + count))
