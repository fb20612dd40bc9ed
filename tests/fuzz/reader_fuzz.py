"""Coverage-guided fuzzing of the reader against the decoder that was written from the document alone.

    pip install atheris
    python tests/fuzz/reader_fuzz.py tests/fuzz/corpus -max_total_time=1200

Each input is tried as a file, and as a recipe for a file all of whose checksums are right, so that what lies behind
them is reached. ``test_fuzz_corpus.py`` replays what was found.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parent / "container"), str(FOLDER.parent / "conformance")]


def load() -> None:
    """The modules under test; apart, so that atheris can watch them being loaded."""
    global container_files, decoder, pack_block, MOST_COMPACT, Header, Reader, CorruptError, UsageError, PREDICTOR
    import container_files
    import decoder

    from hac_cli.container import Header, Reader
    from hac_cli.container.blocks import MOST_COMPACT, pack_block
    from hac_cli.errors import CorruptError, UsageError

    PREDICTOR = decoder.Predictor(container_files.PREDICTOR_BYTES)


def assemble(recipe: bytes) -> bytes:
    """A file with right checksums: five bytes for the header, then blocks of type, number, length and payload."""
    choices, rest = recipe[:5].ljust(5, b"\0"), recipe[5:]
    per_frame, bits = ((1, 18), (2, 9), (3, 6), (6, 3))[choices[1] % 4]
    make = container_files.make_coded_header if choices[0] & 1 else container_files.make_header
    header = make(
        channels=1 + choices[0] // 2 % 3, tokens_per_frame=per_frame, bits_per_token=bits,
        frames_per_block=1 + choices[2] % 9, hop_length=4 + 4 * choices[3], total_samples=choices[4],
        compact=bool(choices[1] & 4), tinted=bool(choices[1] & 8), band_limited=choices[1] & 24 == 24,
    )  # fmt: skip
    file = header.pack()
    crc = int.from_bytes(file[-4:], "little")
    while len(rest) >= 3:
        kind, number, length = rest[:3]
        compact = kind == 0x41 and length <= MOST_COMPACT  # a type that is none otherwise
        file += pack_block(crc, number, kind, rest[3 : 3 + length], compact)
        rest = rest[3 + length :]
    return file


def check(file: bytes) -> None:
    """Both decoders accept or refuse the file, and find the same in it; nothing else than CorruptError is raised."""
    try:
        reader, tokens, gains = container_files.read_strict(file)
    except CorruptError:
        reader = None
    try:
        theirs = decoder.decode(file, PREDICTOR)
    except decoder.Invalid:
        theirs = None
    assert (reader is None) == (theirs is None), (reader, theirs)
    if reader:
        assert tokens.transpose(1, 0, 2).astype("<u4").tobytes() == theirs.token_bytes()
        assert gains.T.tolist() == [frame for block in theirs.gains.values() for frame in block]
        assert reader.summary.samples == theirs.samples and reader.metadata == theirs.metadata
    try:
        blocks, damages = container_files.read_tolerant(file)
    except CorruptError:
        assert reader is None
        return
    assert bool(damages) == (reader is None)
    recovered = decoder.recover(file, PREDICTOR)
    found, gains = recovered.blocks, recovered.gains
    assert found == {block.number: block.tokens.transpose(1, 0, 2).ravel().tolist() for block in blocks}
    assert gains == {block.number: block.gains.T.tolist() for block in blocks}
    skipping = Reader(io.BytesIO(file), on_damage=[].append, predictor=container_files.find_predictor)
    skipping.read_metadata()
    skipping.skip_blocks(2)
    for block in skipping:
        assert gains[block.number] == block.gains.T.tolist()


def run(data: bytes) -> None:
    check(assemble(data))
    check(data)


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["hac_cli"]):
        load()
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
else:
    load()
