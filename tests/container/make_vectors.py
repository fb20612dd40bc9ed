"""Write the test vectors and their index to ``tests/vectors``.

    python tests/container/make_vectors.py

A test compares what is there with what this makes: a change of the format cannot go unseen.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from container_files import (
    PREDICTOR_BYTES,
    PREDICTOR_FILE,
    few_tokens,
    flip,
    make_coded_header,
    make_file,
    make_header,
    make_tokens,
    read_strict,
    read_tolerant,
    split,
    with_crc,
)

from hac_cli.container import Header
from hac_cli.container.blocks import CODED, DATA, END, GAINS, SHORT, End, pack_block, pack_header_copy
from hac_cli.container.gains import gains_of_text, gains_text
from hac_cli.container.header import header_crc
from hac_cli.container.metadata import METADATA, pack_metadata
from hac_cli.container.packing import payload_order
from hac_cli.errors import CorruptError

FOLDER = Path(__file__).parents[1] / "vectors"
HEADER = make_header(total_samples=2560)
FILE = make_file(HEADER, make_tokens(HEADER, 14), 2560)
CODED_HEADER = make_coded_header(total_samples=2560)
CODED_FILE = make_file(CODED_HEADER, few_tokens(CODED_HEADER, 14), 2560)
MIXED = few_tokens(CODED_HEADER, 14)
MIXED[:, 4:12] |= 0x2A540
COMPACT_HEADER = make_coded_header(total_samples=2560, compact=True, version=0x12)
COMPACT = make_file(COMPACT_HEADER, MIXED, 2560)
GAINED_HEADER = make_header(total_samples=2560, version=0x14)
GAINED = make_file(GAINED_HEADER, make_tokens(GAINED_HEADER, 14), 2560, gains_of_text("0:12 5:-128 7:0 13:9", 1, 14))
COMPACT_GAINED_HEADER = make_coded_header(total_samples=4480, compact=True, version=0x14, channels=2)
COMPACT_GAINED = make_file(
    COMPACT_GAINED_HEADER,
    few_tokens(COMPACT_GAINED_HEADER, 26),
    4480,
    gains_of_text("4:3,-1 8:3,-1 14:7,0 22:0,0 25:1,2", 2, 26),
)
TINTED_HEADER = make_coded_header(total_samples=4480, compact=True, tinted=True, version=0x15, channels=2)
TINTED = make_file(
    TINTED_HEADER,
    few_tokens(TINTED_HEADER, 26),
    4480,
    gains_of_text(
        "4:3,-24,0,1,24,-1,0,0,0,0 8:3,-24,0,1,24,-1,0,0,0,5 22:0,0,0,0,0,0,0,0,0,0 25:1,2,0,0,0,0,0,-3,4,0", 2, 26
    ),
)
LIMITED_HEADER = make_coded_header(total_samples=2560, tinted=True, band_limited=True, version=0x16)
LIMITED = make_file(
    LIMITED_HEADER,
    few_tokens(LIMITED_HEADER, 14),
    2560,
    gains_of_text("0:3,0,0,0,0,0 2:3,0,0,0,0,31 5:3,-1,0,2,0,31 9:0,0,0,0,0,1", 1, 14),
)
TEST_BLOCK = 0x8F


def coded(frames: int, **changes) -> bytes:
    header = make_coded_header(**changes)
    return make_file(header, few_tokens(header, frames))


def speech(frames: int, samples: int | None = None, **changes) -> bytes:
    header = make_header(**changes)
    return make_file(header, make_tokens(header, frames), samples)


def valid() -> dict[str, tuple[str, bytes]]:
    head, *rest = split(CODED_FILE)
    tags = {"title": "Küchengespräch", "date": "1843-07-10", "comment": "a = b\nc"}
    metadata = pack_block(header_crc(head), 0, METADATA, pack_metadata(tags))

    def join(*first: bytes) -> bytes:
        return b"".join([head, *first, *rest])

    copied = [head]
    for number, block in enumerate(rest):
        copied += [pack_header_copy(head, number), block]

    return {
        "mono": ("one channel, three whole blocks and a short one", FILE),
        "stereo": ("two channels at 48000 Hz", speech(10, channels=2, sample_rate=48000, total_samples=6400)),
        "no-samples": ("a recording of no samples", speech(0, total_samples=0)),
        "one-sample": ("a recording of one sample", speech(1, samples=1, total_samples=1)),
        "pipe": ("written to a pipe: the header does not know the length", speech(9)),
        "whole-blocks": ("no short block", speech(8)),
        "one-frame-blocks": ("blocks of one frame", speech(3, frames_per_block=1)),
        "seconds": ("blocks of 150 frames, as usual", speech(320, frames_per_block=150)),
        "hop-160": (
            "150 frames a second, some samples dropped",
            speech(9, hop_length=160, model_id=3, pre_skip=77),
        ),
        "many-tokens": (
            "3 channels, 5 tokens a frame of 7 bits",
            speech(6, channels=3, tokens_per_frame=5, bits_per_token=7),
        ),
        "one-bit": (
            "1 bit a token; a short block needs its count",
            speech(13, bits_per_token=1, frames_per_block=9),
        ),
        "widest": (
            "all values at their upper limit that fit together",
            speech(
                3,
                sample_rate=192000,
                channels=8,
                tokens_per_frame=8,
                bits_per_token=24,
                hop_length=65535,
                frames_per_block=341,
                pre_skip=65535,
                model_id=65535,
            ),
        ),
        "ones": ("every bit of every token set", make_file(HEADER, np.full((1, 6, 1), 2**18 - 1))),
        "coded": ("every block coded, the last one short", CODED_FILE),
        "coded-stereo": ("two channels, coded", coded(10, channels=2, sample_rate=48000)),
        "coded-tokens": ("three tokens of 6 bits a frame, coded", coded(9, tokens_per_frame=3, bits_per_token=6)),
        "coded-long": ("a coded block of 150 frames", coded(150, frames_per_block=150)),
        "coded-or-raw": (
            "a coded block, two that did not shrink, a coded one",
            make_file(CODED_HEADER, MIXED, 2560),
        ),
        "metadata": ("title, date and a comment in front of the tokens", join(metadata)),
        "header-copies": ("a copy of the header in front of every block", b"".join(copied)),
        "coded-empty": ("payload coding 1 and no samples", coded(0)),
        "compact": ("compact blocks, coded and raw, and a short one", COMPACT),
        "compact-raw": ("compact blocks in a file of raw ones", speech(14, compact=True, version=0x12)),
        "compact-one-bit": (
            "compact blocks of a byte",
            speech(13, bits_per_token=1, frames_per_block=4, compact=True, version=0x12),
        ),
        "compact-largest": (
            "blocks of 176 bytes, which are compact",
            speech(150, bits_per_token=22, frames_per_block=64, compact=True, version=0x12),
        ),
        "compact-too-large": (
            "blocks of 177 bytes, which can't be compact",
            speech(120, bits_per_token=24, frames_per_block=59, compact=True, version=0x12),
        ),
        "gains": ("gains that change on and between blocks, one block without any, and a short one", GAINED),
        "compact-gains": (
            "compact blocks that keep the gains of the one before, and others where they change",
            COMPACT_GAINED,
        ),
        "bandwidths": ("gains with a tint and a bandwidth", LIMITED),
        "tints": ("gains with a tint, in compact blocks that keep them and others where they change", TINTED),
        "gains-most": (
            "a change of gain in every frame of a block",
            make_file(
                most := make_header(frames_per_block=256, version=0x14),
                make_tokens(most, 256),
                None,
                np.resize(np.arange(-128, 128, dtype=np.int8), (1, 256)),
            ),
        ),
    }


def uncommon() -> dict[str, tuple[str, bytes]]:
    odd = b"\xff=no\0A=b\0a=c\0\0no equals sign\0=x\0e=\xfe\0f=not ended"
    head, *blocks = split(FILE)
    crc = header_crc(head)
    skipped = [pack_block(crc, number, TEST_BLOCK, b"skip me" * number) for number in range(5)]
    flagged = pack_block(crc, 0, TEST_BLOCK | 0x70, b"with every flag")
    between = [part for pair in zip(skipped, blocks, strict=True) for part in pair]
    longer = with_crc(head[:4] + b"\x13\x34" + head[6:40] + b"of later" + bytes(4))
    return {
        "skippable-first": ("an unknown skippable block, all flags set", head + flagged + b"".join(blocks)),
        "skippable-between": ("unknown skippable blocks everywhere, one of them empty", head + b"".join(between)),
        "minor-version": ("minor version 15", rebuild(with_crc(head[:4] + b"\x1f" + head[5:]))),
        "longer-header": ("minor version 3, eight more bytes in the header", rebuild(longer)),
        "compatible-flags": ("all compatible flags set", rebuild(with_crc(head[:6] + b"\xff" + head[7:]))),
        "odd-metadata": (
            "metadata that is not in order, and a second block of it",
            head + pack_block(crc, 0, METADATA, odd) + pack_block(crc, 0, METADATA, b"g=h\0") + b"".join(blocks),
        ),
        "unknown-model": ("a model that is not registered", speech(5, model_id=0)),
    }


def rebuild(head: bytes, file: bytes = FILE) -> bytes:
    """The blocks of a file behind another header."""
    parts = [head]
    for number, block in enumerate(split(file)[1:]):
        parts.append(pack_block(header_crc(head), number, block[2], block[8:-4]))
    return b"".join(parts)


def faulty() -> dict[str, tuple[str, bytes]]:
    head, *blocks, end = split(FILE)
    crc = header_crc(head)

    def join(*parts: bytes) -> bytes:
        return head + b"".join(parts)

    def changed(number: int, tag: int, payload: bytes) -> bytes:
        return join(*blocks[:number], pack_block(crc, number, tag, payload), *blocks[number + 1 :], end)

    def ended(**changes) -> bytes:
        good = End.unpack(end[8:-4])
        return join(*blocks, pack_block(crc, 4, END, good._replace(**changes).pack()))

    def gained(gains: bytes) -> bytes:
        return changed(1, DATA | GAINS, gains + blocks[1][8:-4])

    def told(*numbers: int) -> bytes:
        """A tint, and behind it a bandwidth."""
        band_limited = len(numbers) > 4
        header = make_header(total_samples=2560, tinted=True, band_limited=band_limited, version=0x15 + band_limited)
        plain = split(make_file(header, make_tokens(header, 14), 2560))
        payload = bytes([0, 9, *(number & 0xFF for number in numbers)]) + plain[2][8:-4]
        return b"".join([*plain[:2], pack_block(header_crc(plain[0]), 1, DATA | GAINS, payload), *plain[3:]])

    far = End(2560, 65538, 4, bytes(8)).pack()
    twin = split(make_file(HEADER, make_tokens(HEADER, 14, start=900), 2560))
    coded_head, *coded_blocks = split(CODED_FILE)
    coded_parts = [block[8:-4] for block in coded_blocks]

    def recoded(number: int, tag: int, payload: bytes) -> bytes:
        block = pack_block(header_crc(coded_head), number, tag, payload)
        return b"".join([coded_head, *coded_blocks[:number], block, *coded_blocks[number + 1 :]])

    zeros = split(make_file(CODED_HEADER, np.zeros((1, 4, 1), np.int32)))[1][8:-4]
    compact_head, *compact_blocks = split(COMPACT)
    compact_crc = header_crc(compact_head)

    def compacted(*parts: bytes) -> bytes:
        return b"".join([compact_head, *parts])

    far_compact = pack_block(compact_crc, 4097, DATA | CODED, compact_blocks[0][3:-3], compact=True)
    far_end = pack_block(compact_crc, 4098, END, End(2560, 4098, 4, bytes(8)).pack())
    copies = [pack_header_copy(head, number) for number in range(4)]
    far_copy = pack_header_copy(compact_head, 4097)
    longer = recoded(1, 0x21, zeros + bytes(7 - len(zeros)) + b"\1")
    stranger = split(speech(14, total_samples=2561))
    one_bit = split(speech(6, bits_per_token=1))
    full = pack_block(header_crc(one_bit[0]), 1, DATA | SHORT, b"\4\0\5")
    headers = {
        "empty": ("no bytes at all", b""),
        "not-hac": ("a text", b"RIFF is not how this begins\n"),
        "header-cut": ("the file ends inside its header", FILE[:43]),
        "header-flip": ("one bit of the header is wrong", flip(FILE, 8 * 20 + 3)),
        "header-size": ("header_size below 44", with_crc(head[:5] + b"\x28" + head[6:40]) + FILE[44:]),
        "header-limits": ("no channels", rebuild(with_crc(head[:12] + b"\0" + head[13:]))),
        "header-block-size": (
            "blocks whose payload would not fit its length field",
            rebuild(with_crc(head[:12] + b"\x08\x18\x08" + head[15:18] + b"\0\x10" + head[20:])),
        ),
        "major-version": ("major version 2", rebuild(with_crc(head[:4] + b"\x20" + head[5:]))),
        "incompatible-flags": ("an unknown incompatible flag", rebuild(with_crc(head[:7] + b"\x09" + head[8:]))),
        "coded-header": (
            "payload coding 1 without a predictor",
            rebuild(with_crc(coded_head[:5] + b"\x2c" + coded_head[6:40] + coded_head[44:]), CODED_FILE),
        ),
        "payload-coding": ("an unknown payload coding", rebuild(with_crc(head[:15] + b"\xc8" + head[16:]))),
    }
    return headers | {
        "no-end": ("truncated before the end block", FILE[: -len(end)]),
        "cut": ("truncated in the third block", FILE[: 44 + 2 * len(blocks[0]) + 11]),
        "payload-flip": ("one bit of the second block's payload is wrong", flip(FILE, 8 * (44 + 21 + 9))),
        "length-flip": ("one bit of the second block's length is wrong", flip(FILE, 8 * (44 + 21 + 5) + 1)),
        "end-flip": ("one bit of the end block is wrong", flip(FILE, 8 * len(FILE) - 100)),
        "lost-block": ("the second block is missing", join(blocks[0], *blocks[2:], end)),
        "repeated-block": ("the second block stands there twice", join(*blocks[:2], *blocks[1:], end)),
        "swapped-blocks": (
            "second and third block swapped",
            join(blocks[0], blocks[2], blocks[1], blocks[3], end),
        ),
        "spliced-block": ("a block of a file with another header", join(blocks[0], stranger[2], *blocks[2:], end)),
        "spliced-twin": ("a block of a file with the same header", join(blocks[0], twin[2], *blocks[2:], end)),
        "far-block": (
            "65536 blocks are missing",
            join(blocks[0], pack_block(crc, 65537, DATA, blocks[1][8:-4]), pack_block(crc, 65538, END, far)),
        ),
        "inserted-bytes": (
            "foreign bytes between two blocks",
            join(blocks[0], b"\xf5\xb1\x01?", *blocks[1:], end),
        ),
        "lost-bytes": ("three bytes of the second block are missing", FILE[: 44 + 21 + 9] + FILE[44 + 21 + 12 :]),
        "trailing-bytes": ("a byte behind the end block", FILE + b"\0"),
        "two-files": ("two files in a row", FILE + FILE),
        "unknown-type": ("a block of an unknown kind that must not be skipped", changed(1, 0x03, b"new")),
        "gains-cut": ("a short block's payload ends in its gains", changed(3, DATA | SHORT | GAINS, b"\2\0\1\5\0\0\0")),
        "gains-first": ("a change of gain in a block's first frame", gained(b"\1\5\0\0\6")),
        "gains-falling": ("changes of gain in a wrong order", gained(b"\2\5\2\0\6\1\0\7")),
        "gains-behind": ("a change of gain behind a block's last frame", gained(b"\1\5\4\0\6")),
        "bandwidth-without-tint": ("a bandwidth without a tint", rebuild(with_crc(head[:7] + b"\x04" + head[8:]))),
        "bandwidth-limit": ("a bandwidth that is too large", told(0, 1, 2, 3, 32)),
        "bandwidth-limit-below": ("a bandwidth below 0", told(0, 1, 2, 3, -1)),
        "tint-limit": ("a term of a tint that is too large", told(0, 1, 25, 0)),
        "tint-limit-below": ("a term of a tint that is too small", told(0, 1, -25, 0)),
        "gains-flip": ("one bit of a gain is wrong", flip(GAINED, 8 * (44 + 9) + 2)),
        "coded-flag": ("a coded block in a file of raw ones", changed(1, DATA | 0x20, blocks[1][8:-4])),
        "coded-payload-flip": ("one bit of a coded payload is wrong", flip(CODED_FILE, 8 * (48 + 9))),
        "coded-too-long": ("a coded payload with more bytes than its tokens take", longer),
        "coded-not-smaller": ("a coded payload as long as a raw one", recoded(1, 0x21, coded_parts[1].ljust(9, b"\1"))),
        "coded-other-tokens": (
            "a predictor for other tokens",
            rebuild(with_crc(coded_head[:13] + b"\x11" + coded_head[14:]), CODED_FILE),
        ),
        "compact-flip": ("one bit of a compact block's payload is wrong", flip(COMPACT, 8 * (48 + 3))),
        "compact-length": ("one bit of a compact block's length is wrong", flip(COMPACT, 8 * (48 + 1))),
        "compact-sync": ("a compact block begins with another byte", flip(COMPACT, 8 * 48)),
        "compact-lost": ("a compact block is missing", compacted(compact_blocks[0], *compact_blocks[2:])),
        "compact-far": (
            "4096 blocks are missing in front of a compact one",
            compacted(compact_blocks[0], far_compact, far_end),
        ),
        "compact-unannounced": (
            "a compact block in a file without that flag",
            join(pack_block(crc, 0, DATA, blocks[0][8:-4], compact=True), *blocks[1:], end),
        ),
        "compact-coded": (
            "a compact block that isn't as long as a raw one in a file of raw ones",
            (raw_head := make_header(compact=True, version=0x12).pack())
            + pack_block(header_crc(raw_head), 0, DATA, b"12345", compact=True),
        ),
        "compact-far-copy": (
            "4096 blocks are missing in front of a copy of the header",
            compacted(compact_blocks[0], far_copy, far_compact, far_end),
        ),
        "header-flip-copy": (
            "one bit of the header is wrong; a copy of it is good",
            flip(join(*blocks[:2], copies[2], *blocks[2:], end), 8 * 20 + 3),
        ),
        "header-lost": (
            "all before the second block's end is missing, a copy of the header follows",
            b"".join([copies[2][-5:], copies[2], *blocks[2:], end]),
        ),
        "header-two-copies": (
            "the header is missing, one copy of it is damaged, the next is good",
            b"".join([*blocks[:1], flip(copies[1], 100), blocks[1], copies[2], *blocks[2:], end]),
        ),
        "copy-flip": (
            "one bit of a copy of the header is wrong",
            join(blocks[0], flip(copies[1], 150), *blocks[1:], end),
        ),
        "copy-number": ("a copy of the header stands a block too early", join(blocks[0], copies[2], *blocks[1:], end)),
        "end-flag": ("a flag of the end block", join(*blocks, pack_block(crc, 4, END | SHORT, end[8:-4]))),
        "padding": ("padding that is not zero", changed(3, DATA | SHORT, blocks[3][8:-5] + b"\x80")),
        "raw-length": ("a payload one byte too long", changed(1, DATA, blocks[1][8:-4] + b"\0")),
        "short-length": (
            "a short block's payload does not fit its count",
            changed(3, 0x11, blocks[3][8:-4] + b"\0"),
        ),
        "short-none": ("a short block of no frames", changed(3, DATA | SHORT, b"\0\0" + blocks[3][10:-4])),
        "short-full": ("a short block with all frames", one_bit[0] + one_bit[1] + full),
        "short-first": (
            "a short block that is not the last",
            join(pack_block(crc, 0, DATA | SHORT, blocks[3][8:-4]), *blocks[1:], end),
        ),
        "end-samples": ("more samples than the frames can hold", ended(samples=15 * 320 * 2 // 3 + 1)),
        "end-frames": ("a wrong number of frames in the end block", ended(last_frames=3)),
        "end-digest": ("a wrong digest", ended(digest=bytes(8))),
        "skippable-flip": (
            "one bit of a skippable block is wrong",
            join(flip(pack_block(crc, 0, TEST_BLOCK, b"skip me"), 70), *blocks, end),
        ),
    }


def fields(header: Header) -> dict[str, object]:
    digests = {"weights_digest": header.weights_digest.hex()}
    predictor = header.predictor_digest
    return asdict(header) | digests | {"predictor_digest": predictor.hex() if predictor else None}


def describe(group: str, what: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"group": group, "sha256": hashlib.sha256(data).hexdigest()}
    if group == "faulty":
        try:
            recovered = [block.number for block in read_tolerant(data)[0]]
        except CorruptError:
            recovered = None
        return entry | {"why": what, "exit_code": CorruptError.exit_code, "recovered": recovered}
    reader, tokens, gains = read_strict(data)
    assert reader.summary
    return entry | {
        "what": what,
        "header": fields(reader.header),
        "samples": reader.summary.samples,
        "frames": reader.summary.frames,
        "blocks": reader.summary.blocks,
        "metadata": reader.metadata,
        "gains": gains_text(gains),
        "tokens_sha256": hashlib.sha256(payload_order(tokens).tobytes()).hexdigest(),
    }


def vectors() -> tuple[dict[str, bytes], list[dict[str, object]]]:
    """The files by name, and the index."""
    files, index = {}, []
    for group, members in (("valid", valid()), ("uncommon", uncommon()), ("faulty", faulty())):
        for name, (what, data) in members.items():
            files[f"{group}/{name}.hac"] = data
            index.append({"name": f"{group}/{name}.hac"} | describe(group, what, data))
    return files, index


def main() -> None:
    files, index = vectors()
    files[PREDICTOR_FILE] = PREDICTOR_BYTES
    for name, data in files.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    lines = ",\n".join(json.dumps(entry) for entry in index)
    (FOLDER / "index.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
