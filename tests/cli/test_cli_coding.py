"""``compress`` and ``decompress``: what they write, what they say, and what they leave when they fail."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess

import numpy as np
import pytest
from cli_tools import TALK_RATE, TALK_SAMPLES, names

from hac_cli.audio import AudioReader, AudioWriter, RawFormat


def samples_of(path) -> np.ndarray:
    with AudioReader(path) as reader:
        return np.concatenate([np.zeros((reader.channels, 0), np.float32), *reader], 1)


def test_there_and_back(call, folder, talk):
    """Names that are made up, exact length, the rate of the file, and permissions as for any new file."""
    shutil.copy(talk, "talk.wav")
    code, output, errors = call("compress", "talk.wav")
    size = (folder / "talk.hac").stat().st_size
    rate = 8 * size / (TALK_SAMPLES / TALK_RATE) / 1000
    assert (code, output) == (0, "")
    assert errors.startswith(f"talk.wav -> talk.hac: 1.01 s, {size} bytes, {rate:.3f} kbit/s, ")
    assert errors.endswith("x real time\n") and errors.count("\n") == 1

    (folder / "talk.wav").unlink()
    code, output, errors = call("-q", "decompress", "talk.hac")
    assert (code, output, errors) == (0, "", "")
    assert samples_of("talk.wav").shape == (1, TALK_SAMPLES)
    assert names(folder) == ["talk.hac", "talk.wav"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((folder / "talk.wav").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize(("model", "frame_rate"), [("v2", 75), ("v2-150", 150)])
def test_blocks_last_as_long_in_every_model(model, frame_rate, call, folder, talk):
    for options, seconds in ((), 4), (("--live",), 0.08), (("--block", "200ms"), 0.2):
        assert call("compress", "-qf", "--model", model, *options, talk, "talk.hac")[0] == 0
        assert json.loads(call("info", "--json", "talk.hac")[1])["frames_per_block"] == seconds * frame_rate


@pytest.mark.slow
@pytest.mark.parametrize("effort", ["fast", "best"])
def test_fast_and_best(effort, call, folder, talk, talk_hac):
    """Other tokens, for the same decoder."""
    assert call("compress", "-q", f"--{effort}", talk, "other.hac") == (0, "", "")
    other = (folder / "other.hac").read_bytes()
    assert other != talk_hac.read_bytes()
    assert call("decompress", "-q", "other.hac") == (0, "", "")
    assert samples_of("other.wav").shape == (1, TALK_SAMPLES)
    assert call("compress", f"--{effort}", "--live", talk, "live.hac")[0] == (2 if effort == "best" else 0)
    assert call("batch", "compress", "-q", "-j1", f"--{effort}", talk.parent, "dst") == (0, "", "")
    assert (folder / "dst" / "talk.hac").read_bytes() == other


def test_overwriting_keeps_links_and_permissions(call, folder, talk_hac):
    (folder / "old.wav").write_bytes(b"old")
    (folder / "old.wav").chmod(0o600)
    (folder / "link.wav").symlink_to("old.wav")
    assert call("decompress", "-f", talk_hac, "link.wav")[0] == 0
    assert (folder / "link.wav").is_symlink()
    assert stat.S_IMODE((folder / "old.wav").stat().st_mode) == 0o600
    assert samples_of("old.wav").shape == (1, TALK_SAMPLES)


def test_formats(call, folder, talk_hac):
    """By extension; devices and pipes get WAV, and are written as they are."""
    assert call("decompress", talk_hac, "out.flac")[0] == 0
    assert (folder / "out.flac").read_bytes()[:4] == b"fLaC"
    assert samples_of("out.flac").shape == (1, TALK_SAMPLES)
    assert call("decompress", talk_hac, "/dev/null")[0] == 0
    os.mkfifo("pipe")
    with (folder / "from_pipe").open("wb") as file, subprocess.Popen(["cat", "pipe"], stdout=file):
        assert call("decompress", talk_hac, "pipe")[0] == 0
    assert (folder / "from_pipe").read_bytes()[:4] == b"RIFF"
    code, _, errors = call("decompress", talk_hac, "out.doc")
    assert code == 2
    assert errors.startswith("hac: out.doc: the extension .doc is unknown")
    assert names(folder) == ["from_pipe", "out.flac", "pipe"]


def test_what_is_clipped_is_told(call, folder, talk):
    audio = samples_of(talk) / np.abs(samples_of(talk)).max()
    for name, peak in (("normal.wav", 0.5), ("loud.wav", 8)):
        with AudioWriter(name, TALK_RATE, 1, subtype="FLOAT") as writer:
            writer.write(np.float32(peak) * audio)
        assert call("compress", name)[0] == 0
    code, _, errors = call("decompress", "normal.hac", "-f")
    assert code == 0 and "clipped" not in errors
    code, _, errors = call("decompress", "loud.hac", "-f")
    assert code == 0 and f"louder than full level, and are clipped; --raw {TALK_RATE}:1:f32 keeps them" in errors
    assert "clipped" not in call("decompress", "loud.hac", "loud.raw", "--raw", f"{TALK_RATE}:1:f32")[2]
    assert np.abs(np.fromfile("loud.raw", "<f4")).max() > 2


def test_names_as_long_as_there_may_be(call, folder, talk):
    name = "a." + 253 * "x"
    assert call("compress", talk, name)[0] == 0 and names(folder) == [name]


def test_raw(call, folder):
    """Headerless PCM on both ends gives what WAV gives; two channels stay two, or become one."""
    pcm = np.random.default_rng(0).normal(0, 0.1, (2, 8_000)).astype(np.float32)
    for name, raw in (("in.raw", RawFormat.parse("8000:2:s16")), ("in.wav", None)):
        with AudioWriter(name, 8_000, 2, raw=raw) as writer:
            writer.write(pcm)
    assert call("compress", "--raw", "8000:2:s16", "in.raw", "raw.hac")[0] == 0
    assert call("compress", "in.wav", "wav.hac")[0] == 0
    assert (folder / "raw.hac").read_bytes() == (folder / "wav.hac").read_bytes()
    assert call("decompress", "--raw", "8000:2:s16", "raw.hac", "out.raw")[0] == 0
    assert call("decompress", "wav.hac", "out.wav")[0] == 0
    assert (folder / "out.raw").read_bytes() == (folder / "out.wav").read_bytes()[-4 * 8_000 :]

    code, _, errors = call("decompress", "--raw", "16000:1:s16", "raw.hac", "bad.raw")
    assert code == 2
    assert "the audio has 2 at 8000 Hz" in errors
    assert call("-v", "compress", "--mono", "in.wav", "mono.hac")[0] == 0
    assert "8000 Hz, 1 channel, 1.000 s" in call("info", "mono.hac")[1]
    assert "bad.raw" not in names(folder)


def test_truncated_audio_is_kept(call, folder, talk):
    (folder / "cut.wav").write_bytes(talk.read_bytes()[: 44 + 2 * 8_000])
    code, _, errors = call("compress", "cut.wav")
    assert code == 3
    warning = "ends after 0.50 s of 1.01 s promised; it was coded as far as it goes"
    assert errors.splitlines()[1] == f"hac: cut.wav: {warning}"
    assert call("decompress", "cut.hac", "cut_out.wav")[0] == 0
    assert samples_of("cut_out.wav").shape == (1, 8_000)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_audio_that_is_no_number(value, call, folder):
    with AudioWriter("bad.wav", 24_000, 1, subtype="FLOAT") as writer:
        writer.write(np.full((1, 24_000), value, np.float32))
    code, _, errors = call("compress", "bad.wav")
    assert code == 3
    assert errors.startswith("hac: bad.wav: the sample at 0.000 s is not a finite number")
    assert names(folder) == ["bad.wav"]


def test_damage_leaves_no_output(call, folder, talk_hac):
    """The output that was there stays, and no part of a new one is left."""
    whole = talk_hac.read_bytes()
    (folder / "cut.hac").write_bytes(whole[:-10])
    (folder / "flip.hac").write_bytes(whole[:100] + bytes([whole[100] ^ 4]) + whole[101:])
    (folder / "old.wav").write_bytes(b"old")
    code, _, errors = call("decompress", "-f", "cut.hac", "old.wav")
    assert code == 5
    assert errors.startswith("hac: cut.hac: truncated")
    code, _, errors = call("decompress", "-f", "flip.hac", "old.wav")
    assert code == 5
    assert errors.startswith("hac: flip.hac: block 0 ")
    assert (folder / "old.wav").read_bytes() == b"old"
    assert names(folder) == ["cut.hac", "flip.hac", "old.wav"]


def test_full_device(call, talk, talk_hac):
    message = "hac: /dev/full: the disk is full; make room and start again\n"
    assert call("compress", talk, "/dev/full") == (4, "", message)
    assert call("decompress", talk_hac, "/dev/full") == (4, "", message)


def test_full_disk(call, folder, talk_hac):
    disk = folder / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        code, _, errors = call("decompress", talk_hac, "disk/out.wav")
        left = names(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert (code, left) == (4, [])
    assert errors == "hac: disk/out.wav: the disk is full; make room and start again\n"


def test_both_engines_write_the_same_file(call, talk, tmp_path):
    paths = [tmp_path / f"{engine}.hac" for engine in ("numpy", "torch")]
    for path in paths:
        assert call("compress", talk, path, "--fast", "--engine", path.stem)[0] == 0
        assert call("decompress", path, "--engine", path.stem)[0] == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("device", ["toaster", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(call, talk, tmp_path, device):
    code, _, err = call("compress", talk, tmp_path / "out.hac", "--device", device)
    assert code == 2 and device in err and not list(tmp_path.iterdir())
