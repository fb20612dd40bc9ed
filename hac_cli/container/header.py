"""The file header: what was recorded, which model coded it, how its tokens are laid out."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from hac_cli.container.predictor import DIGEST_SIZE as PREDICTOR_DIGEST_SIZE
from hac_cli.container.registry import (
    BAND_LIMITED,
    COMPACT,
    LOWEST_VERSION,
    MODELS,
    PAYLOAD_CODINGS,
    PREDICTED,
    RAW,
    TINT_TERMS,
    TINTED,
    VERSION,
)
from hac_cli.container.source import Source
from hac_cli.errors import CorruptError, UsageError
from hac_cli.rate import CODEC_SAMPLE_RATE

MAGIC = b"\x89HAC"
MAX_FRAMES_PER_BLOCK = 4096
HEADER_SIZE, MAX_HEADER_SIZE = 44, 255
MAX_PAYLOAD = 0xFFFF - 2  # a short block's payload needs two more bytes, and its length field has 16 bits
DIGEST_SIZE = 8

_LAYOUT = struct.Struct("<4s4BI4B4H8sQ")
_CRC = struct.Struct("<I")
_UNKNOWN_TOTAL = 0xFFFF_FFFF_FFFF_FFFF


class Refused(CorruptError):
    """A header is as it was written, and can't be read here."""


@dataclass(frozen=True)
class Header:
    """The header of a ``.hac`` file.

    ``sample_rate`` (Hz), ``channels`` and ``total_samples`` (per channel; None: not known when writing began)
    are those of the original recording; ``hop_length`` and ``pre_skip`` count samples at ``CODEC_SAMPLE_RATE``.
    ``weights_digest`` is the first 8 bytes of the SHA-256 of the weights file, ``predictor_digest`` the first 4 of the
    predictor's; that is there in payload coding 1 alone. ``compact``: data blocks take 6 bytes beside their payload
    for 12, where they can; ``tinted``: gains have a tint, and if ``band_limited`` a bandwidth.

    Raises UsageError where a value is outside the format's limits.
    """

    sample_rate: int
    channels: int
    model_id: int
    weights_digest: bytes
    bits_per_token: int = 18
    tokens_per_frame: int = 1
    hop_length: int = 320
    frames_per_block: int = 150
    pre_skip: int = 0
    payload_coding: int = RAW
    predictor_digest: bytes | None = None
    total_samples: int | None = None
    compatible_flags: int = 0
    compact: bool = False
    tinted: bool = False
    band_limited: bool = False
    version: int = VERSION

    def __post_init__(self) -> None:
        limits = (
            ("sample_rate", 8000, 192000),
            ("channels", 1, 8),
            ("model_id", 0, 0xFFFF),
            ("bits_per_token", 1, 24),
            ("tokens_per_frame", 1, 8),
            ("hop_length", 1, 0xFFFF),
            ("frames_per_block", 1, MAX_FRAMES_PER_BLOCK),
            ("pre_skip", 0, 0xFFFF),
            ("compatible_flags", 0, 0xFF),
            ("version", LOWEST_VERSION & 0xF0, LOWEST_VERSION | 0x0F),
        )
        for name, low, high in limits:
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} must be {low} to {high}, not {value}")
        if len(self.weights_digest) != DIGEST_SIZE:
            raise UsageError(f"weights_digest must be {DIGEST_SIZE} bytes, not {len(self.weights_digest)}")
        if self.payload_coding not in PAYLOAD_CODINGS:
            raise UsageError(f"payload coding {self.payload_coding} is not known")
        digest = self.predictor_digest
        expected = None if self.payload_coding == RAW else PREDICTOR_DIGEST_SIZE
        if (None if digest is None else len(digest)) != expected:
            raise UsageError(f"predictor_digest must be {PREDICTOR_DIGEST_SIZE} bytes, and none with raw payloads")
        if self.band_limited and not self.tinted:
            raise UsageError("a bandwidth stands behind a tint, and there is none")
        if self.total_samples is not None and not 0 <= self.total_samples < _UNKNOWN_TOTAL:
            raise UsageError(f"total_samples must be 0 to 2^64 - 2, not {self.total_samples}")
        if self.raw_size(self.frames_per_block) > MAX_PAYLOAD:
            raise UsageError(
                f"a block of {self.frames_per_block} frames ({self.frames_per_block * self.frame_seconds:.1f} s) of "
                f"{self.channels} channels takes {self.raw_size(self.frames_per_block)} bytes; {MAX_PAYLOAD} is the "
                "most, use a shorter one"
            )

    @property
    def model_name(self) -> str | None:
        """The registered name of the model, None where the number is not registered."""
        return MODELS.get(self.model_id)

    @property
    def frame_seconds(self) -> float:
        """Seconds of audio that one frame stands for."""
        return self.hop_length / CODEC_SAMPLE_RATE

    def first_sample(self, frame: int) -> int:
        """At the codec's rate, the sample of the recording from which on a frame is heard; the first ``pre_skip`` never
        are."""
        return max(0, frame * self.hop_length - self.pre_skip)

    def heard_at(self, frame: int) -> float:
        """The second of ``first_sample``."""
        return self.first_sample(frame) / CODEC_SAMPLE_RATE

    @property
    def frame_tokens(self) -> int:
        """Tokens of one frame, all channels together."""
        return self.channels * self.tokens_per_frame

    @property
    def gain_rows(self) -> int:
        """Numbers that the gains of one frame are, all channels together."""
        return self.channels * (1 + TINT_TERMS * self.tinted + self.band_limited)

    def raw_size(self, frames: int) -> int:
        """Bytes of a raw payload of ``frames`` frames."""
        return (frames * self.frame_tokens * self.bits_per_token + 7) // 8

    def samples_of(self, frames: int) -> int:
        """Whole samples at the original rate that ``frames`` frames stand for."""
        return frames * self.hop_length * self.sample_rate // CODEC_SAMPLE_RATE

    def max_samples(self, frames: int) -> int:
        """Most samples per channel, at the original rate, that a file of ``frames`` frames may claim."""
        return self.samples_of(frames + 1)

    def frames_for(self, samples: int) -> int:
        """Frames that it takes to decode so many samples at the original rate."""
        codec_samples = -(-samples * CODEC_SAMPLE_RATE // self.sample_rate) + self.pre_skip
        return -(-codec_samples // self.hop_length)

    @property
    def frames_announced(self) -> int | None:
        """Frames that the announced samples take; None where their number was not known when writing began."""
        return self.frames_for(self.total_samples) if self.total_samples else self.total_samples

    @property
    def size(self) -> int:
        """Bytes of the header that :meth:`pack` gives."""
        return HEADER_SIZE + len(self.predictor_digest or b"")

    def pack(self) -> bytes:
        """The bytes of the header, its CRC included."""
        total = _UNKNOWN_TOTAL if self.total_samples is None else self.total_samples
        data = _LAYOUT.pack(
            MAGIC, self.version, self.size, self.compatible_flags,
            COMPACT * self.compact | TINTED * self.tinted | BAND_LIMITED * self.band_limited,
            self.sample_rate,
            self.channels, self.bits_per_token, self.tokens_per_frame, self.payload_coding,
            self.hop_length, self.frames_per_block, self.pre_skip, self.model_id,
            self.weights_digest, total,
        )  # fmt: skip
        data += self.predictor_digest or b""
        return data + _CRC.pack(zlib.crc32(data))

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """Read a header from its bytes, all of ``header_size``.

        Raises CorruptError where no intact header stands, Refused for one that breaks limits or isn't known here.
        """
        _check_start(data)
        if len(data) < HEADER_SIZE or len(data) != data[5]:
            raise CorruptError("truncated: it ends inside its header")
        if zlib.crc32(data[: -_CRC.size]) != header_crc(data):
            raise CorruptError("the header is damaged: checksum mismatch")
        if (data[4] ^ LOWEST_VERSION) & 0xF0:
            raise Refused(f"format version {data[4] >> 4} is not known: made by a newer HAC; update")
        (
            _, version, _, compatible_flags, incompatible_flags, sample_rate,
            channels, bits_per_token, tokens_per_frame, payload_coding,
            hop_length, frames_per_block, pre_skip, model_id,
            weights_digest, total,
        ) = _LAYOUT.unpack_from(data)  # fmt: skip
        if unknown := incompatible_flags & ~(COMPACT | TINTED | BAND_LIMITED):
            raise Refused(f"it needs features 0x{unknown:02x}: made by a newer HAC; update")
        if payload_coding not in PAYLOAD_CODINGS:
            raise Refused(f"payload coding {payload_coding} is not known: made by a newer HAC; update")
        predictor_digest = None
        if payload_coding == PREDICTED:
            predictor_digest = data[_LAYOUT.size : -_CRC.size][:PREDICTOR_DIGEST_SIZE]
        try:
            return cls(
                sample_rate=sample_rate,
                channels=channels,
                model_id=model_id,
                weights_digest=weights_digest,
                bits_per_token=bits_per_token,
                tokens_per_frame=tokens_per_frame,
                hop_length=hop_length,
                frames_per_block=frames_per_block,
                pre_skip=pre_skip,
                payload_coding=payload_coding,
                predictor_digest=predictor_digest,
                total_samples=None if total == _UNKNOWN_TOTAL else total,
                compatible_flags=compatible_flags,
                compact=bool(incompatible_flags & COMPACT),
                tinted=bool(incompatible_flags & TINTED),
                band_limited=bool(incompatible_flags & BAND_LIMITED),
                version=version,
            )
        except UsageError as error:
            raise Refused(f"the header is invalid: {error.message}") from None


def header_crc(data: bytes) -> int:
    """The CRC-32 that a header's bytes end with; it is part of every block's checksum."""
    crc: int = _CRC.unpack(data[-_CRC.size :])[0]
    return crc


def peek_header(source: Source) -> bytes:
    """The bytes that should be a header at the front of a source. Raises CorruptError where none begins."""
    start = source.peek(6)
    _check_start(start)
    return source.peek(start[5])


def _check_start(data: bytes) -> None:
    if not data:
        raise CorruptError("not a .hac file: it is empty")
    if data[:4] != MAGIC:
        cut = len(data) < 4 and MAGIC.startswith(data)
        raise CorruptError("truncated: it ends inside its header" if cut else "not a .hac file; hac compress makes one")
    if len(data) < 6:
        raise CorruptError("truncated: it ends inside its header")
    if data[5] < HEADER_SIZE:
        raise CorruptError(f"the header is damaged: its size is {data[5]}, {HEADER_SIZE} is the least")
