"""Files that end too early or fail in the middle: everything that is there comes, and it is told."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import COMPRESSED, SAMPLE_RATE, read_all, speechlike, write

from hac_cli.audio import AudioReader, AudioWriter
from hac_cli.errors import InputError


@pytest.mark.parametrize(
    ("audio_seconds", "bytes_cut", "message"),
    [(10, 24000 * 2 * 4, "ends after 6.00 s of 10.00 s promised"), (1, 1, "ends after 1.00 s of 1.00 s promised")],
)
@pytest.mark.parametrize("piped", [False, True])
def test_a_truncated_wav_gives_all_it_has_and_tells(
    tmp_path: Path, audio_seconds: int, bytes_cut: int, message: str, piped: bool
) -> None:
    whole = write(tmp_path / "a.wav", speechlike(1, audio_seconds)).read_bytes()
    path = tmp_path / "cut.wav"
    path.write_bytes(whole[:-bytes_cut])
    reader = AudioReader(io.BytesIO(path.read_bytes()) if piped else path)
    samples = SAMPLE_RATE * audio_seconds - -(-bytes_cut // 2)
    assert reader.samples_expected == (None if piped else samples)
    audio = read_all(reader)
    assert audio.shape == (1, samples)
    np.testing.assert_allclose(audio, speechlike(1, audio_seconds)[:, :samples], atol=2**-15, rtol=0)
    assert reader.truncated == message


def test_a_truncated_rf64_tells(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(1, 2).T, SAMPLE_RATE, format="RF64")
    path.write_bytes(path.read_bytes()[:-SAMPLE_RATE])
    reader = AudioReader(path)
    assert read_all(reader).shape == (1, 36000)
    assert reader.truncated == "ends after 1.50 s of 2.00 s promised"


def test_a_wav_of_unknown_length_that_ends_within_a_sample_tells() -> None:
    stream = io.BytesIO()
    with AudioWriter(stream, SAMPLE_RATE, 2) as writer:
        writer.write(speechlike(2, 1))
    reader = AudioReader(io.BytesIO(stream.getvalue()[:-1]))
    assert read_all(reader).shape == (2, SAMPLE_RATE - 1)
    assert reader.truncated == "ends in the middle of a sample after 1.00 s"


@pytest.mark.parametrize("extension", [*COMPRESSED, "aiff", "au", "w64"])
def test_other_formats_that_are_cut_off_tell(tmp_path: Path, extension: str) -> None:
    audio = speechlike(1, 8)
    audio += np.random.default_rng(0).normal(0, 0.1, audio.shape).astype(np.float32)  # fills the pages of Ogg
    path = write(tmp_path / f"a.{extension}", audio)
    full = read_all(AudioReader(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    for source in (path, io.BytesIO(path.read_bytes())):
        reader = AudioReader(source)
        result = read_all(reader)
        assert 0.4 * audio.shape[1] < result.shape[1] < 0.8 * audio.shape[1]
        assert reader.truncated is not None and " s" in reader.truncated
        same = result.shape[1] - 4000
        np.testing.assert_allclose(result[:, :same], full[:, :same], atol=1e-3)


def test_a_flac_that_fails_in_the_middle_gives_what_comes_before(tmp_path: Path) -> None:
    audio = speechlike(1, 5)
    path = write(tmp_path / "a.flac", audio)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(content)
    reader = AudioReader(path)
    result = read_all(reader)
    assert 0.4 * audio.shape[1] < result.shape[1] < 0.6 * audio.shape[1]
    np.testing.assert_allclose(result, audio[:, : result.shape[1]], atol=2**-15)
    assert reader.truncated is not None and reader.truncated.endswith("of 5.00 s could be decoded")


@pytest.mark.parametrize(("part", "samples"), [(1.0, 50000), (0.5, 24000)])
def test_a_flac_of_unknown_length_is_read_to_its_end_and_tells_if_cut_off(
    tmp_path: Path, part: float, samples: int
) -> None:
    path = write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, (1, 50000)).astype(np.float32))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of the number of samples, 0: unknown, as an encoder in a pipe leaves it
    content[22:26] = bytes(4)
    path.write_bytes(content[: round(part * len(content))])
    reader = AudioReader(path)
    assert reader.samples_expected is None
    assert read_all(reader).shape[1] == pytest.approx(samples, abs=1000)
    assert (reader.truncated is None) == (part == 1.0)


CODINGS = [("WAV", "ULAW", "FILE"), ("WAV", "ALAW", "FILE"), ("WAV", "IMA_ADPCM", "FILE"), ("WAV", "GSM610", "FILE"),
           ("WAV", "PCM_16", "BIG"), ("RF64", "ALAW", "FILE"), ("NIST", "PCM_16", "FILE"), ("NIST", "ULAW", "FILE"),
           ("VOC", "PCM_16", "FILE")]  # fmt: skip


@pytest.mark.parametrize(("kind", "coding", "endian"), CODINGS)
def test_telephony_and_corpora_that_are_cut_off_tell(kind: str, coding: str, endian: str) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, speechlike(1, 4).T, SAMPLE_RATE, format=kind, subtype=coding, endian=endian)
    whole = stream.getvalue()
    reader = AudioReader(io.BytesIO(whole))
    assert 4 <= read_all(reader).shape[1] / SAMPLE_RATE < 4.1 and reader.truncated is None
    reader = AudioReader(io.BytesIO(whole[: len(whole) // 2]))
    assert 1.9 < read_all(reader).shape[1] / SAMPLE_RATE < 2.1
    assert reader.truncated is not None and reader.truncated.startswith("is damaged or cut off after")


@pytest.mark.parametrize("extension", ["ogg", "opus"])
def test_an_ogg_file_without_its_last_page_tells(tmp_path: Path, extension: str) -> None:
    path = write(tmp_path / f"a.{extension}", np.random.default_rng(0).normal(0, 0.1, (1, 72_000)).astype(np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"OggS")])
    reader = AudioReader(path)
    assert 0 < read_all(reader).shape[1] < 72_000
    assert reader.truncated is not None and reader.truncated.startswith("is damaged or cut off after")


@pytest.mark.parametrize("coding", ["PCM_16", "ALAC_16"])
def test_a_caf_that_is_cut_off_says_so(tmp_path: Path, coding: str) -> None:
    path = tmp_path / "a.caf"
    soundfile.write(path, speechlike(1, 2).T, SAMPLE_RATE, format="CAF", subtype=coding)
    reader = AudioReader(path)
    assert read_all(reader).shape == (1, 2 * SAMPLE_RATE) and reader.truncated is None
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match="is cut off"):
        AudioReader(path)


@pytest.mark.parametrize("size", [2**63 - 1, 2**50, -(2**63)])
def test_a_caf_whose_chunk_is_longer_than_any_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.caf"
    soundfile.write(path, speechlike(1, 0.1).T, SAMPLE_RATE, format="CAF", subtype="PCM_16")
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + size.to_bytes(8, "big", signed=True) + content[place + 8 :])
    with pytest.raises(InputError):
        AudioReader(path)


@pytest.mark.parametrize("extension", ["ogg", "opus", "mp3", "flac", "au", "caf", "wav"])
def test_a_second_stream_behind_the_first_is_told_of(tmp_path: Path, extension: str) -> None:
    first = write(tmp_path / f"a.{extension}", speechlike(1, 2)).read_bytes()
    second = write(tmp_path / f"b.{extension}", speechlike(1, 1)).read_bytes()  # an Ogg stream has a number of its own
    for behind in (second, b"TAG" + bytes(125) if extension == "mp3" else b""):
        joined = tmp_path / f"joined.{extension}"
        joined.write_bytes(first + behind)
        reader = AudioReader(joined)
        assert read_all(reader).shape == (1, 2 * SAMPLE_RATE)
        told = "goes on with another stream after 2.00 s, which needs a file of its own"
        assert reader.truncated == (told if behind is second else None)


@pytest.mark.parametrize("extension", ["ogg", "opus"])
def test_a_stream_between_two_that_are_the_same(tmp_path: Path, extension: str) -> None:
    jingle = write(tmp_path / f"a.{extension}", speechlike(1, 2)).read_bytes()
    talk = write(tmp_path / f"b.{extension}", speechlike(1, 100)).read_bytes()
    (tmp_path / f"show.{extension}").write_bytes(jingle + talk + jingle)
    reader = AudioReader(tmp_path / f"show.{extension}")
    assert read_all(reader).shape == (1, 2 * SAMPLE_RATE)
    assert reader.truncated is not None and reader.truncated.startswith("goes on with another stream after 2.00 s")


def test_an_mp3_behind_the_tags_of_another(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.mp3", speechlike(1, 2)).read_bytes()
    old = b"TAG" + bytes(125)
    ape = b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in (2000, 40, 1, 0xA0000000)) + bytes(8 + 40)
    for tags in (old, ape, ape + old):
        for behind, goes_on in ((whole, True), (b"", False)):
            reader = AudioReader(io.BytesIO(whole + tags + behind))
            assert read_all(reader).shape == (1, 2 * SAMPLE_RATE)
            assert ("another stream" in (reader.truncated or "")) is goes_on


def test_a_tail_that_only_looks_like_ogg(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ogg", speechlike(1, 2))
    path.write_bytes(path.read_bytes() + bytes(66_000) + b"OggS\x01" + bytes(60))
    assert read_all(AudioReader(path)).shape == (1, 2 * SAMPLE_RATE)


def test_a_header_that_was_never_completed_is_told_of(tmp_path: Path) -> None:
    """libsndfile believes the zeros in it; those of PCM, which is read here, are known to mean nothing."""
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(1, 1).T, SAMPLE_RATE, subtype="ULAW")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    reader = AudioReader(path)
    assert read_all(reader).shape[1] == 0
    assert "its header was never completed" in str(reader.truncated)


def test_chunks_behind_a_wav_are_no_second_stream(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.wav", speechlike(1, 2)).read_bytes()
    chunk = b"LIST" + (5).to_bytes(4, "little") + b"INFO\0" + b"\0"  # of an odd size, and padded
    for behind, goes_on in ((chunk, False), (chunk + whole, True), (b"rubbish", False), (b"rubbish" * 10, False),
                            (bytes(9999), False)):  # fmt: skip
        (tmp_path / "b.wav").write_bytes(whole + behind)
        for source in (tmp_path / "b.wav", io.BytesIO(whole + behind)):
            reader = AudioReader(source)
            assert read_all(reader).shape == (1, 2 * SAMPLE_RATE)
            assert ("another stream" in (reader.truncated or "")) is goes_on


@pytest.mark.parametrize("said", [1.0, 0.0])
@pytest.mark.parametrize("begins", [b"", bytes(640), b"talk"])
def test_samples_that_the_header_knows_nothing_of_are_told_of(tmp_path: Path, said: float, begins: bytes) -> None:
    content = bytearray(write(tmp_path / "a.wav", speechlike(1, 2)).read_bytes())
    place, size = content.index(b"data") + 4, int(2 * said * SAMPLE_RATE)
    content[place : place + 4] = size.to_bytes(4, "little")
    behind = place + 4 + size
    content[behind : behind + len(begins)] = begins
    (tmp_path / "a.wav").write_bytes(content)
    for source in (tmp_path / "a.wav", io.BytesIO(content)):
        reader = AudioReader(source)
        assert read_all(reader).shape == (1, said * SAMPLE_RATE)
        assert f"goes on after the {said:.2f} s of its header" in (reader.truncated or "")


@pytest.mark.parametrize(("extension", "subtype"), [("wav", "ULAW"), ("wav", "MS_ADPCM"), ("au", "PCM_16")])
def test_so_are_those_that_libsndfile_leaves(tmp_path: Path, extension: str, subtype: str) -> None:
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, speechlike(1, 3)[0], SAMPLE_RATE, subtype=subtype)
    assert AudioReader(path).truncated is None and read_all(AudioReader(path)).shape[1] >= 3 * SAMPLE_RATE
    content = bytearray(path.read_bytes())
    place = 8 if extension == "au" else content.index(b"data") + 4
    size = len(content) // 3 // 4096 * 4096
    content[place : place + 4] = size.to_bytes(4, "big" if extension == "au" else "little")
    path.write_bytes(content)
    reader = AudioReader(path)
    seconds = read_all(reader).shape[1] / SAMPLE_RATE
    assert 0.8 < seconds < 1.1 and f"goes on after the {seconds:.2f} s of its header" in (reader.truncated or "")


def test_a_second_wav_is_seen_behind_an_odd_number_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(1, 1)[0, :9999], SAMPLE_RATE, subtype="PCM_U8")
    whole = path.read_bytes()
    assert len(whole) % 2 == 0  # by a byte of padding
    for source in (io.BytesIO(whole + whole), io.BytesIO(whole)):
        reader = AudioReader(source)
        assert read_all(reader).shape == (1, 9999)
        assert (reader.truncated is None) == (len(source.getvalue()) == len(whole))


@pytest.mark.parametrize("rest", [0, 1, 2, 3])
def test_a_second_wav_is_seen_behind_a_part_of_a_sample(tmp_path: Path, rest: int) -> None:
    soundfile.write(tmp_path / "a.wav", speechlike(2, 1).T, SAMPLE_RATE, subtype="PCM_16")
    whole = bytearray((tmp_path / "a.wav").read_bytes())
    assert whole[36:40] == b"data"
    size = len(whole) - 44 + rest
    whole[40:44] = size.to_bytes(4, "little")
    whole += bytes(rest + size % 2)
    for content, goes_on in ((whole, False), (whole + whole, True)):
        (tmp_path / "b.wav").write_bytes(content)
        for source in (tmp_path / "b.wav", io.BytesIO(content)):
            reader = AudioReader(source)
            assert read_all(reader).shape == (2, SAMPLE_RATE)
            assert ("another stream" in (reader.truncated or "")) is goes_on


def test_tags_around_a_flac_cost_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", speechlike(1, 3))
    whole = read_all(AudioReader(path))
    in_front = b"ID3\x03\0\0" + bytes([0, 0, 1, 0]) + bytes(128)
    for content in (path.read_bytes() + b"TAG" + bytes(125), in_front + path.read_bytes()):
        reader = AudioReader(io.BytesIO(content))
        np.testing.assert_array_equal(read_all(reader), whole)
        assert reader.truncated is None


@pytest.mark.parametrize("size", [2**64 - 1, 2**63 - 1, 2**62, 2**40])
@pytest.mark.parametrize("piped", [False, True])
def test_an_rf64_that_promises_the_impossible_gives_all_it_has(tmp_path: Path, size: int, piped: bool) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speechlike(1, 1).T, SAMPLE_RATE, format="RF64")
    content = bytearray(path.read_bytes())
    assert content[12:16] == b"ds64"
    content[28:36] = size.to_bytes(8, "little")
    path.write_bytes(content)
    reader = AudioReader(io.BytesIO(content) if piped else path)
    assert read_all(reader).shape == (1, SAMPLE_RATE)
    assert (reader.truncated is None) == (size >= 2**62)  # which stands for "not known"
