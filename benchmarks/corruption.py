"""Random damage to a ``.hac`` file, many times over: python benchmarks/corruption.py FILE [--cases 100000] [--seed 0]

Each case hurts the file once to three times: bytes scrambled, zeroed, inserted, lost or repeated, blocks dropped,
doubled, swapped, or spliced in from another file of the same header. Then the strict reader must refuse it, and the
tolerant one report damage and give exactly the blocks that still stand whole in it, with the tokens they were written
with; neither may raise anything else, take long, or need much memory.
The file should be short and have several blocks: hac_cli.compress(WAV, FILE, frames_per_block=2).
"""

from __future__ import annotations

import argparse
import io
import random
import re
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hac_cli.container import Block, Damage, Header, Predictor, Reader, Writer
from hac_cli.errors import CorruptError
from hac_cli.predictors import for_header

MOST_SECONDS = 1.0  # of CPU, for a case
MOST_KILOBYTES = 8192  # that all cases may add to the process
BYTE_DAMAGES = ("scramble", "zero", "insert", "lose", "repeat")
BLOCK_DAMAGES = ("drop", "double", "swap", "splice")

FindPredictor = Callable[[Header], Predictor | None]
Tokens = np.ndarray
Known = dict[bytes, tuple[int, Tokens | None]]
"""Number and tokens of blocks, by their bytes; those of an end block are the number of data blocks, and None, those of
a copy of the header the number of the block before it, and None."""
COPY = b"\xf5\xb1\x83"


def split(data: bytes) -> list[bytes]:
    """The header and the blocks of a whole file."""
    parts, offset = [data[: data[5]]], data[5]
    while offset < len(data):
        compact = data[7] & 1 and data[offset + 1] < 0xB1  # as format_spec.md has them
        size = 6 + data[offset + 1] if compact else 12 + int.from_bytes(data[offset + 5 : offset + 7], "little")
        parts.append(data[offset : offset + size])
        offset += size
    return parts


def hurt_blocks(kind: str, rng: random.Random, parts: list[bytes], foreign: list[bytes]) -> list[bytes]:
    """Never the header, its copies, which nobody misses, nor the end block; ``foreign``: another file's parts, of which
    the end block may be spliced."""
    parts = list(parts)
    one, other = rng.choices([at for at in range(1, len(parts) - 1) if not parts[at].startswith(COPY)], k=2)
    if kind == "drop" and len(parts) > 3:
        del parts[one]
    elif kind == "double":
        parts.insert(other, parts[one])
    elif kind == "swap":
        parts[one], parts[other] = parts[other], parts[one]
    elif kind == "splice":
        parts[one] = rng.choice([part for part in foreign[1:] if not part.startswith(COPY)])
    return parts


def hurt_bytes(kind: str, rng: random.Random, parts: list[bytes]) -> list[bytes]:
    """Some bytes of one part, header and end block included."""
    parts = list(parts)
    number = rng.randrange(len(parts))
    data = parts[number]
    at = rng.randrange(len(data) + 1)
    count = min(rng.choice([1, 2, 3, 8, 30, 100]), len(data) - at)
    new = {"scramble": rng.randbytes(count), "zero": bytes(count), "lose": b""}.get(kind)
    if new is None:
        more = rng.randbytes(count) if kind == "insert" else data[max(0, at - count) : at]
        parts[number] = data[:at] + more + data[at:]
    else:
        parts[number] = data[:at] + new + data[at + count :]
    return parts


def hurt(rng: random.Random, parts: list[bytes], foreign: list[bytes]) -> tuple[bytes, list[str]]:
    """A damaged file, and what was done to it: whole blocks first, then bytes."""
    kinds = rng.choices(BLOCK_DAMAGES + BYTE_DAMAGES, k=rng.choice([1, 1, 2, 3]))
    for kind in sorted(kinds, key=BYTE_DAMAGES.__contains__):
        parts = hurt_bytes(kind, rng, parts) if kind in BYTE_DAMAGES else hurt_blocks(kind, rng, parts, foreign)
    return b"".join(parts), kinds


def standing(data: bytes, start: int, known: Known) -> list[tuple[int, Tokens]]:
    """Number and tokens of the data blocks that still stand whole behind ``start``: what a reader must give.

    Not those that one with their number or a higher one has overtaken. Nor those that one before reaches into: a block
    that lost its last byte, F5, is whole if the next one begins at once, and that has then lost its first.
    """
    places = sorted((match.start(), block) for block in known for match in re.finditer(re.escape(block), data))
    found, newest = [], -1
    for at, block in places:
        number, tokens = known[block]
        if at >= start and number > newest:
            start, newest = at + len(block), number
            if tokens is not None:
                found.append((number, tokens))
    return found


def read_all(data: bytes, predictor: FindPredictor, tolerant: bool) -> tuple[list[Block], list[Damage]]:
    damages: list[Damage] = []
    return list(Reader(io.BytesIO(data), damages.append if tolerant else None, predictor)), damages


def check(data: bytes, header: bytes, known: Known, predictor: FindPredictor) -> None:
    """Raises AssertionError for anything that must not be."""
    try:
        read_all(data, predictor, tolerant=False)
        missed = any(block.startswith(COPY) and block not in data for block in known)
        assert missed, "the strict reader noticed nothing"
        return
    except CorruptError:
        pass
    try:
        blocks, damages = read_all(data, predictor, tolerant=True)
    except CorruptError:
        assert not data.startswith(header), "an untouched header was refused"
        return
    assert damages, "the tolerant reader noticed nothing"
    due = standing(data, len(header) if data.startswith(header) else 0, known)
    assert [block.number for block in blocks] == [number for number, _ in due], "a block is lost, or made up"
    right = all(np.array_equal(block.tokens, tokens) for block, (_, tokens) in zip(blocks, due, strict=True))
    assert right, "wrong tokens"


def read_known(data: bytes, predictor: FindPredictor) -> Known:
    """The blocks of a whole file without metadata."""
    _, *parts, end = split(data)
    reader = Reader(io.BytesIO(data), predictor=predictor)
    blocks = [part for part in parts if not part.startswith(COPY)]
    known: Known = {block: (read.number, read.tokens) for block, read in zip(blocks, reader, strict=True)}
    copies: Known = {part: (int.from_bytes(part[8:12], "little") - 1, None) for part in parts if part.startswith(COPY)}
    return known | copies | {end: (len(blocks), None)}


def foreign_file(data: bytes, predictor: FindPredictor) -> bytes:
    """A file with the same header and other tokens of the same kind: the blocks turned back to front."""
    reader, sink = Reader(io.BytesIO(data), predictor=predictor), io.BytesIO()
    writer = Writer(sink, reader.header, predictor(reader.header))
    for block in reader:
        writer.write(block.tokens[:, ::-1])
    assert reader.summary
    writer.finish(reader.summary.samples)
    return sink.getvalue()


def run(data: bytes, predictor: FindPredictor, cases: int, seed: int) -> Counter[str]:
    """Hurts a file so many times and checks each; gives how often each kind of damage was done."""
    foreign = foreign_file(data, predictor)
    known = read_known(foreign, predictor) | read_known(data, predictor)
    parts, foreign_parts, rng = split(data), split(foreign), random.Random(seed)
    tally: Counter[str] = Counter()
    for case in range(cases):
        damaged, kinds = hurt(rng, parts, foreign_parts)
        if damaged == data:
            continue
        tally.update(kinds)
        started = time.process_time()
        try:
            check(damaged, parts[0], known, predictor)
            assert time.process_time() - started < MOST_SECONDS, "it took too long"
        except AssertionError as error:
            raise AssertionError(f"case {case} of seed {seed}, {kinds}: {error}; {damaged.hex()}") from None
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = arguments.file.read_bytes()
    run(data, for_header, 100, arguments.seed)  # what is loaded at the first use
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally = run(data, for_header, arguments.cases, arguments.seed)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MOST_KILOBYTES, f"memory grew by {grown} kB"
    print(f"{arguments.cases} cases: nothing unnoticed, nothing wrong, every whole block given")
    print(f"memory grew by {grown} kB; {time.process_time():.0f} s of CPU; {dict(tally)}")


if __name__ == "__main__":
    main()
