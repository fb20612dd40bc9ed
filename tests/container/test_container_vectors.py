"""The committed files, their index, the document's example, and the decoder written from the document."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import make_vectors
import numpy as np
import pytest
from container_files import (
    PREDICTOR_BYTES,
    PREDICTOR_FILE,
    corrupt,
    flip,
    make_file,
    make_header,
    read_strict,
    read_tolerant,
)

from hac_cli.container import MODELS, PAYLOAD_CODINGS, Reader
from hac_cli.container.gains import gains_text
from hac_cli.container.packing import payload_order
from hac_cli.errors import CorruptError

TESTS = Path(__file__).parents[1]
SPEC = (TESTS.parent / "format_spec.md").read_text(encoding="utf-8")
DECODER = TESTS / "conformance" / "decoder.py"
INDEX = json.loads((TESTS / "vectors" / "index.json").read_text())
FILES = {
    "raw": make_vectors.FILE,
    "coded": make_vectors.CODED_FILE,
    "compact": make_vectors.COMPACT,
    "gains": make_vectors.GAINED,
    "compact-gains": make_vectors.COMPACT_GAINED,
}
GOOD = [pytest.param(entry, id=entry["name"]) for entry in INDEX if entry["group"] != "faulty"]
FAULTY = [pytest.param(entry, id=entry["name"]) for entry in INDEX if entry["group"] == "faulty"]


def load_decoder():
    spec = importlib.util.spec_from_file_location("hac_conformance_decoder", DECODER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


decoder = load_decoder()
PREDICTOR = decoder.Predictor((TESTS / "vectors" / PREDICTOR_FILE).read_bytes())


def as_text(gains: dict[int, list[list[int]]]) -> str:
    """As the index has them: the first frame of each change with its gains."""
    frames = [frame for block in gains.values() for frame in block]
    before = [[0] * len(frames[0]), *frames[:-1]] if frames else []
    changes = [index for index, frame in enumerate(frames) if frame != before[index]]
    return " ".join(f"{index}:{','.join(map(str, frames[index]))}" for index in changes)


def read(entry) -> bytes:
    data = (TESTS / "vectors" / entry["name"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    return data


def test_the_vectors_are_what_the_generator_makes():
    files, index = make_vectors.vectors()
    assert index == INDEX
    stored = {path.relative_to(TESTS / "vectors").as_posix() for path in (TESTS / "vectors").rglob("*.hac")}
    assert stored == set(files)
    assert (TESTS / "vectors" / PREDICTOR_FILE).read_bytes() == PREDICTOR_BYTES


@pytest.mark.parametrize("entry", GOOD)
def test_good_vectors(entry):
    reader, tokens, gains = read_strict(read(entry))
    assert make_vectors.fields(reader.header) == entry["header"]
    summary = reader.summary
    assert [summary.samples, summary.frames, summary.blocks] == [entry[k] for k in ("samples", "frames", "blocks")]
    assert hashlib.sha256(payload_order(tokens).tobytes()).hexdigest() == entry["tokens_sha256"]
    assert gains_text(gains) == entry["gains"]
    assert reader.metadata == entry["metadata"]
    assert read_tolerant(read(entry))[1] == []


@pytest.mark.parametrize("entry", GOOD)
def test_good_vectors_in_the_conformance_decoder(entry):
    for decode in (decoder.decode, decoder.recover):
        file = decode(read(entry), PREDICTOR)
        assert file.header.fields == entry["header"]
        assert file.metadata == entry["metadata"]
        assert [file.samples, file.frames, len(file.blocks)] == [entry[k] for k in ("samples", "frames", "blocks")]
        assert hashlib.sha256(file.token_bytes()).hexdigest() == entry["tokens_sha256"]
        assert as_text(file.gains) == entry["gains"]


@pytest.mark.parametrize("entry", FAULTY)
def test_faulty_vectors(entry):
    with pytest.raises(CorruptError) as caught:
        read_strict(read(entry))
    assert caught.value.exit_code == entry["exit_code"] == 5
    if entry["recovered"] is None:
        with pytest.raises(CorruptError):
            read_tolerant(read(entry))
        return
    blocks, damages = read_tolerant(read(entry))
    assert [block.number for block in blocks] == entry["recovered"]
    assert damages


@pytest.mark.parametrize("entry", FAULTY)
def test_faulty_vectors_in_the_conformance_decoder(entry):
    with pytest.raises(decoder.Invalid):
        decoder.decode(read(entry), PREDICTOR)
    if entry["recovered"] is None:
        with pytest.raises(decoder.Invalid):
            decoder.recover(read(entry), PREDICTOR)
        return
    assert list(decoder.recover(read(entry), PREDICTOR).blocks) == entry["recovered"]


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_the_conformance_decoder_notices_every_bit_flip(data):
    for bit in range(8 * len(data)):
        with pytest.raises(decoder.Invalid):
            decoder.decode(flip(data, bit), PREDICTOR)


@pytest.mark.parametrize("whole", FILES.values(), ids=FILES)
def test_the_conformance_decoder_agrees_on_random_corruptions(whole):
    rng = random.Random(3)
    for _ in range(200):
        data, _ = corrupt(rng, whole, whole[5])
        data, _ = corrupt(rng, data, whole[5])
        blocks, damages = read_tolerant(data)
        recovered = decoder.recover(data, PREDICTOR)
        assert recovered.blocks == {block.number: payload_order(block.tokens).tolist() for block in blocks}
        assert recovered.gains == {block.number: block.gains.T.tolist() for block in blocks}
        if damages:
            with pytest.raises(decoder.Invalid):
                decoder.decode(data, PREDICTOR)


def test_the_conformance_decoder_stands_alone():
    source = DECODER.read_text(encoding="utf-8")
    assert set(re.findall(r"^(?:from|import) (\w+)", source, re.M)) - sys.stdlib_module_names == set()
    assert len(source.splitlines()) < 340
    path = TESTS / "vectors" / "valid" / "one-sample.hac"
    done = subprocess.run([sys.executable, "-I", DECODER, path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["samples"] == 1
    path = TESTS / "vectors" / "faulty" / "cut.hac"
    assert subprocess.run([sys.executable, "-I", DECODER, path], capture_output=True).returncode == 5


def example() -> bytes:
    (block,) = re.findall(r"```hex\n(.*?)```", SPEC, re.S)
    return bytes.fromhex("".join(line.split("#")[0] for line in block.splitlines()))


def test_the_documents_example_is_a_file():
    header = make_header(frames_per_block=2)
    tokens = np.array([[[1], [0x20000], [0x2CAFE]]])
    assert example() == make_file(header, tokens, 600)
    reader = Reader(io.BytesIO(example()))
    assert [block.tokens.ravel().tolist() for block in reader] == [[1, 0x20000], [0x2CAFE]]
    assert reader.summary.samples == 600
    file = decoder.decode(example())
    assert file.blocks == {0: [1, 0x20000], 1: [0x2CAFE]}
    assert file.samples == 600


def test_the_documents_registries_are_the_programs():
    models = dict(re.findall(r"^\| ([1-9]\d*) \| (\S+) \|", section("### Models"), re.M))
    assert models == {str(number): name for number, name in MODELS.items()}
    codings = dict(re.findall(r"^\| (\d+) \| (\w+) \|", section("### Payload codings"), re.M))
    assert codings == {str(number): coding for number, coding in PAYLOAD_CODINGS.items()}


def test_the_documents_check_values():
    assert decoder.crc8(b"123456789") == 0xF4
    assert "`0xF4`" in SPEC and "`0xCBF43926`" in SPEC
    empty = hashlib.blake2b(b"", digest_size=8).hexdigest()
    assert f"`{' '.join(re.findall('..', empty))}`" in SPEC


def section(title: str) -> str:
    return SPEC.split(f"\n{title}\n")[1].split("\n#")[0]
