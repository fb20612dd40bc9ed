"""Extensions: what tells a recording in a folder, and the formats that can be written with what each can hold."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from hac_cli.audio.pcm import S16, SampleFormat
from hac_cli.errors import UsageError

RECORDINGS = frozenset({
    ".wav", ".wave", ".rf64", ".bwf", ".w64", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc", ".au",
    ".snd", ".caf", ".sph", ".nist", ".voc", ".amr", ".m4a", ".aac", ".mp4", ".wma", ".webm", ".mka", ".ac3", ".wv",
})  # fmt: skip
"""Also what can't be read here: a recording that is left out in silence is a recording lost."""

LOSSY = frozenset({
    ".mp3", ".ogg", ".oga", ".opus", ".amr", ".m4a", ".aac", ".mp4", ".wma", ".webm", ".mka", ".ac3",
})  # fmt: skip

UNCHECKED = frozenset({"AVR", "HTK", "MAT4", "MAT5", "MPC2K", "SD2", "SDS", "WVE", "XI"})
"""By libsndfile's names, formats whose headers tell a length that nobody here compares: a part would pass for the
whole."""

_NO_RECORDINGS = frozenset({".hac", ".raw", ".pcm"})

PCM_FORMATS = {
    "PCM_U8": SampleFormat("u", 1),
    "PCM_S8": SampleFormat("s", 1),
    "PCM_16": S16,
    "PCM_24": SampleFormat("s", 3),
    "PCM_32": SampleFormat("s", 4),
    "FLOAT": SampleFormat("f", 4),
    "DOUBLE": SampleFormat("f", 8),
}
"""Sample formats by libsndfile's names."""

_VORBIS_ORDERS = {
    3: (0, 2, 1), 5: (0, 2, 1, 3, 4), 6: (0, 2, 1, 5, 3, 4), 7: (0, 2, 1, 6, 5, 3, 4), 8: (0, 2, 1, 7, 5, 6, 3, 4),
}  # fmt: skip
"""Where Vorbis and Opus have the channels of WAV, by their number (Vorbis I, section 4.3.9; RFC 7845, 5.1.1.2)."""

_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_AIFF_BYTES = (1 << 32) - (1 << 16)
"""libsndfile writes more than the 32 bits of its header can tell, and says nothing."""
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def places(subtype: str, channels: int) -> tuple[int, ...]:
    """Where libsndfile, which leaves them as the coding has them, has the channels of WAV."""
    orders = _VORBIS_ORDERS if subtype in ("VORBIS", "OPUS") else {}
    return orders.get(channels, tuple(range(channels)))


@dataclass(frozen=True)
class FileFormat:
    """A file format by libsndfile's names, with its limits.

    ``sample_rates`` is empty where any will do, ``max_bytes`` of samples is None; ``may_be_empty`` tells whether
    libsndfile manages without samples.
    """

    container: str
    subtype: str = "PCM_16"
    sample_rates: tuple[int, ...] = ()
    max_channels: int = 8
    max_bytes: int | None = None
    may_be_empty: bool = True


_FORMATS = {
    "wav": FileFormat("WAV"),
    "flac": FileFormat("FLAC", may_be_empty=False),
    "ogg": FileFormat("OGG", "VORBIS"),
    "oga": FileFormat("OGG", "VORBIS"),
    "opus": FileFormat("OGG", "OPUS", _OPUS_RATES, may_be_empty=False),
    "mp3": FileFormat("MP3", "MPEG_LAYER_III", _MP3_RATES, max_channels=2, may_be_empty=False),
    "aiff": FileFormat("AIFF", max_bytes=_AIFF_BYTES),
    "aif": FileFormat("AIFF", max_bytes=_AIFF_BYTES),
    "au": FileFormat("AU"),
    "caf": FileFormat("CAF"),
    "w64": FileFormat("W64"),
}
_WAV_SUBTYPES = tuple(name for name in PCM_FORMATS if name != "PCM_S8")


def without_extension(name: str) -> str:
    """A file's name without what tells its format, if that is known: the end of ``Dr. Smith`` is none."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122  of bytes that are no UTF-8, and / for any system
    return stem if extension.lower() in RECORDINGS | _NO_RECORDINGS else name


def choose_format(extension: str, subtype: str | None, sample_rate: int, channels: int) -> FileFormat:
    """The format for an extension, with or without its dot, in the given subtype or its default.

    Raises UsageError if there is no such format or it can't hold such audio.
    """
    name = extension.lower().removeprefix(".")
    if name not in _FORMATS or not _is_available(_FORMATS[name], None):
        known = ", ".join(f".{key}" for key, value in _FORMATS.items() if _is_available(value, None))
        wrong = f"the extension .{name} is unknown" if name else "the name has no extension"
        raise UsageError(f"{wrong}, so the format is too; use one of {known}, or --raw for headerless PCM")
    chosen = _FORMATS[name]
    if subtype is not None and not _is_available(chosen, subtype):
        raise UsageError(f".{name} can't hold {subtype} samples; leave the sample format out for the usual one")
    if chosen.sample_rates and sample_rate not in chosen.sample_rates:
        rates = ", ".join(map(str, chosen.sample_rates))
        raise UsageError(f".{name} takes {rates} Hz, not {sample_rate}; use .wav or .flac, which take any")
    if channels > chosen.max_channels:
        raise UsageError(
            f".{name} takes up to {chosen.max_channels} channels, not {channels}; use .wav or .flac instead"
        )
    return replace(chosen, subtype=subtype or chosen.subtype)


def _is_available(format: FileFormat, subtype: str | None) -> bool:
    if format.container == "WAV":  # written without libsndfile, which need not even be loaded
        return subtype is None or subtype in _WAV_SUBTYPES
    import soundfile

    return bool(soundfile.check_format(format.container, subtype or format.subtype))
