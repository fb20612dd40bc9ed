"""Codecs by commands: what comes back, what it weighs, and what happens when they fail."""

import dataclasses
import os
import select
import shutil

import numpy as np
import pytest

from hac_cli.errors import HacError, InputError
from hac_cli.eval import baselines, coders, ogg
from hac_cli.eval.coders import CodingError, CommandCoder, HacCoder

COPY = CommandCoder("copy", "cp {in} {out}", "cp {in} {out}", payload="file", time_limit=30)


def test_a_command_gets_and_gives_wav_at_its_rate(speech):
    coded = COPY.code(speech)
    assert np.abs(coded.audio - speech).max() < 1e-4
    assert coded.file_bytes == coded.payload_bytes == 44 + 2 * len(speech)


def test_raw_audio_at_another_rate(speech):
    coded = dataclasses.replace(COPY, format="raw", sample_rate=8_000, payload=1300).code(speech)
    assert coded.file_bytes == 2 * len(speech) // 3
    assert coded.payload_bytes == pytest.approx(1300 * 4 / 8)
    assert abs(len(coded.audio) - len(speech)) < 10
    assert np.corrcoef(coded.audio[: len(speech)], speech[: len(coded.audio)])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("encode", "decode", "said"),
    [
        ("sh -c 'echo no licence >&2; exit 3' {in} {out}", "cp {in} {out}", "exit code 3: no licence"),
        ("true {in} {out}", "cp {in} {out}", "made no output"),
        ("cp {in} {out}", "cp /dev/null {out} {in}", "cp failed"),
        ("cp {in} {out}", "sh -c 'echo not audio > {out}'", "a file that"),
        ("hac-no-such-program {in} {out}", "cp {in} {out}", "can't be run"),
    ],
)
def test_a_command_that_fails_says_how(speech, encode, decode, said):
    with pytest.raises(CodingError, match=said):
        CommandCoder("bad", encode, decode).code(speech)


def test_a_command_that_hangs_is_killed_with_its_children(speech, tmp_path):
    """The child holds a pipe open for as long as it lives."""
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    coder = CommandCoder("hangs", f"sh -c '(echo; sleep 61) > {tmp_path}/pipe & sleep 60' {{in}} {{out}}",
                         "cp {in} {out}", time_limit=1)  # fmt: skip
    with pytest.raises(CodingError, match=r"stopped after 1 s"):
        coder.code(speech)
    assert os.read(pipe, 9) == b"\n"
    assert select.select([pipe], [], [], 20)[0] and os.read(pipe, 9) == b""
    os.close(pipe)


def test_hac_comes_back_with_the_sizes_of_its_file(speech):
    coder = HacCoder("v2")
    coded = coder.code(speech)
    assert coded.audio.shape == speech.shape
    assert coded.file_bytes > coded.payload_bytes > 500 * len(speech) / 24_000 / 8
    assert coder.definition.keys() == {"model", "digest", "effort"}


@pytest.mark.parametrize("model", ["v1", "v2-150"])
def test_unreleased_weights_code_as_the_release_does(speech, model):
    from hac_cli.model import released

    path = released.find(model).path
    coder = HacCoder(model, path)
    coded = coder.code(speech)
    assert coder.name == f"HAC {model}" and coder.commands is None
    assert coded.file_bytes is None and coded.payload_bytes > 0
    assert np.abs(coded.audio - HacCoder(model).code(speech).audio).max() < 1e-3


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(InputError):
        _ = HacCoder("v2", tmp_path / "none.safetensors").definition


def page(*packets: bytes) -> bytes:
    """An Ogg page by RFC 3533."""
    table = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    return b"OggS" + bytes(22) + bytes([len(table)]) + table + b"".join(packets)


def test_payload_of_ogg_is_its_packets_without_the_first_two():
    file = page(b"head") + page(b"tags" * 100) + page(bytes(10), bytes(255), bytes(600)) + page(bytes(7))
    assert ogg.payload_bytes(file) == 10 + 255 + 600 + 7
    with pytest.raises(ValueError):
        ogg.payload_bytes(b"RIFF" + bytes(100))


def test_built_in_baselines_are_sound():
    built_in = baselines.read(baselines.BUILT_IN, 60)
    assert {coder.name.split()[0] for coder in built_in} == {"Opus", "Codec2", "Speex"}
    assert all("apt install" in coder.install and coder.time_limit == 60 for coder in built_in)


@pytest.mark.parametrize("name", ["Opus 6k", "Codec2 1300", "Speex q1"])
def test_built_in_baselines_work(speech, name):
    coder = next(coder for coder in baselines.read(baselines.BUILT_IN, 60) if coder.name == name)
    if coder.missing:
        pytest.skip(f"NOT TESTED: {name}; {coder.install}")
    coded = coder.code(speech)
    assert abs(len(coded.audio) - len(speech)) < 2_400
    assert 0 < coded.payload_bytes < coded.file_bytes < 10_000


def test_missing_programs_are_known():
    assert COPY.missing is None
    assert dataclasses.replace(COPY, decode="hac-no-such-program {in} {out}").missing == "hac-no-such-program"
    assert shutil.which("hac-no-such-program") is None


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[x", "TOML"),
        ("x = 1", "outside of a table"),
        ('[x]\nencode = "a {in} {out}"', "decode is missing"),
        ('[x]\nencode = "a {in}"\ndecode = "a {in} {out}"', r"encode has no \{out\}"),
        ('[x]\nencode = "a {in} {out} \'"\ndecode = "a {in} {out}"', "quotation"),
        ('[x]\nencode = "a {in} {out}"\ndecode = "a {in} {out}"\nbitrate = 3', "unknown key 'bitrate'"),
        ('[x]\nencode = "a {in} {out}"\ndecode = "a {in} {out}"\nformat = "mp3"', "format is"),
        ('[x]\nencode = "a {in} {out}"\ndecode = "a {in} {out}"\nsample_rate = 80', "sample_rate is"),
        ('[x]\nencode = "a {in} {out}"\ndecode = "a {in} {out}"\nsample_rate = "8k"', "sample_rate is"),
        ('[x]\nencode = "a {in} {out}"\ndecode = "a {in} {out}"\npayload = "zip"', "payload is"),
        ('[x]\nencode = "a {in} {out}"\ndecode = "a {in} {out}"\nextension = 3', "extension is"),
    ],
)
def test_templates_that_make_no_sense(tmp_path, toml, said):
    path = tmp_path / "codecs.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(InputError, match=said) as raised:
        baselines.read(path, 60)
    assert raised.value.path == str(path)


def test_templates_that_are_not_there(tmp_path):
    with pytest.raises(HacError):
        baselines.read(tmp_path / "none.toml", 60)


def test_no_shell_comes_between(tmp_path):
    assert coders.fill("a '{in} b' {out}", tmp_path / "$(x)", tmp_path / "y z") == [
        "a", f"{tmp_path}/$(x) b", f"{tmp_path}/y z",
    ]  # fmt: skip
