"""Random damage to a ``.hac`` file, many times over: python benchmarks/corruption.py FILE [--cases 100000] [--seed 0]

Each case hurts the file once to three times: bytes scrambled, zeroed, inserted, lost or repeated, blocks dropped,
doubled, swapped, or spliced in from another file of the same header. Then the strict reader must refuse it, and the
tolerant one report damage, give no wrong token (but for a spliced block, of which the digest alone tells) and give
every block that was not touched; neither may raise anything else, take long, or keep more than 2 MB.
The file should be short and have several blocks: hac_cli.compress(WAV, FILE, frames_per_block=6).
"""

from __future__ import annotations

import argparse
import io
import random
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np

from hac_cli.container import Block, Damage, Reader, Writer
from hac_cli.errors import CorruptError
from hac_cli.predictors import for_header

MOST_MEMORY = 2_000_000
MOST_SECONDS_BY_FILE = 20  # a case may take so many times as long as reading the whole file
BYTE_DAMAGES = ("scramble", "zero", "insert", "lose", "repeat")
BLOCK_DAMAGES = ("drop", "double", "swap", "splice")


def split(data: bytes) -> list[bytes]:
    """The header and the blocks of a whole file."""
    parts, offset = [data[: data[5]]], data[5]
    while offset < len(data):
        size = 12 + int.from_bytes(data[offset + 5 : offset + 7], "little")
        parts.append(data[offset : offset + size])
        offset += size
    return parts


def hurt_blocks(kind: str, rng: random.Random, parts: list[bytes], foreign: list[bytes]) -> list[bytes]:
    """Never the header, nor the end block; ``foreign``: blocks of another file."""
    parts = list(parts)
    one, other = rng.randrange(1, len(parts) - 1), rng.randrange(1, len(parts) - 1)
    if kind == "drop":
        del parts[one]
    elif kind == "double":
        parts.insert(other, parts[one])
    elif kind == "swap":
        parts[one], parts[other] = parts[other], parts[one]
    else:
        parts[one] = foreign[one]
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


def survivors(hurt: list[bytes], parts: list[bytes], foreign: list[bytes]) -> set[int]:
    """Numbers of the data blocks that are untouched and not overtaken by others, which a spliced one may do, too."""
    found, newest = set(), -1
    numbers = {part: number for number, part in enumerate(foreign[1:-1])}
    numbers |= {part: number for number, part in enumerate(parts[1:-1])}
    for part in hurt:
        number = next((number for block, number in numbers.items() if block in part), -1)  # bytes may stand around it
        if number > newest:
            newest = number
            if part in parts:
                found.add(number)
    return found


def read_all(data: bytes, tolerant: bool) -> tuple[list[Block], list[Damage]]:
    damages: list[Damage] = []
    return list(Reader(io.BytesIO(data), damages.append if tolerant else None, for_header)), damages


def check(data: bytes, kinds: list[str], untouched: set[int], good: list[Block], header: bytes) -> None:
    """Raises AssertionError for anything that must not be."""
    try:
        read_all(data, tolerant=False)
        raise AssertionError("the strict reader noticed nothing")
    except CorruptError:
        pass
    try:
        blocks, damages = read_all(data, tolerant=True)
    except CorruptError:
        assert not data.startswith(header), "an untouched header was refused"
        return
    assert damages, "the tolerant reader noticed nothing"
    if "splice" not in kinds:
        assert all(np.array_equal(block.tokens, good[block.number].tokens) for block in blocks), "a wrong token"
    assert untouched <= {block.number for block in blocks}, "an untouched block was lost"


def foreign_file(header: Reader, good: list[Block]) -> bytes:
    """A file with the same header and other tokens of the same kind: the blocks turned back to front."""
    sink = io.BytesIO()
    writer = Writer(sink, header.header, for_header(header.header))
    for block in good:
        writer.write(block.tokens[:, ::-1])
    assert header.summary
    writer.finish(header.summary.samples)
    return sink.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = arguments.file.read_bytes()
    parts, rng = split(data), random.Random(arguments.seed)
    reader = Reader(io.BytesIO(data), predictor=for_header)
    started = time.process_time()
    good = list(reader)
    limit = max(1.0, MOST_SECONDS_BY_FILE * (time.process_time() - started))
    foreign = split(foreign_file(reader, good))
    tally: Counter[str] = Counter()
    slowest = 0.0
    tracemalloc.start()
    for _ in range(arguments.cases):
        kinds = rng.choices(BYTE_DAMAGES + BLOCK_DAMAGES, k=rng.choice([1, 1, 2, 3]))
        hurt = parts
        for kind in sorted(kinds, key=BYTE_DAMAGES.__contains__):  # whole blocks first
            hurt = hurt_bytes(kind, rng, hurt) if kind in BYTE_DAMAGES else hurt_blocks(kind, rng, hurt, foreign)
        if b"".join(hurt) == data:
            continue
        tally.update(kinds)
        started = time.process_time()
        untouched = survivors(hurt, parts, foreign) if hurt[0] == parts[0] else set()
        check(b"".join(hurt), kinds, untouched, good, parts[0])
        slowest = max(slowest, time.process_time() - started)
        assert slowest < limit, "it took too long"
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY + 4 * len(data), "too much memory"
    print(f"{arguments.cases} cases, nothing unnoticed, nothing wrong, nothing lost that was not hurt")
    print(f"peak memory {tracemalloc.get_traced_memory()[1] / 1000:.0f} kB; {dict(tally)}")


if __name__ == "__main__":
    main()
