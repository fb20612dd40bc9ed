"""Parts, damage, metadata, ``cut`` and ``cat`` on the command line; the samples are test_playback.py's."""

from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest
import soundfile
from cli_tools import TALK_RATE, TALK_SAMPLES, make_hac

from hac_cli.model import released

LATE = released.find("v2").config.look_ahead


def frames_of(path) -> int:
    return soundfile.info(path).frames


def test_a_part(call, folder, talk_hac):
    assert call("decompress", talk_hac, "part.wav", "--start", "0:00.5", "--duration", "0.25")[0] == 0
    assert frames_of("part.wav") == TALK_RATE // 4
    assert call("decompress", talk_hac, "rest.wav", "--start", "0:0:1")[0] == 0
    assert frames_of("rest.wav") == TALK_SAMPLES - TALK_RATE
    assert call("decompress", talk_hac, "digits.wav", "--start", "0.25000000000000000000001")[0] == 0
    assert frames_of("digits.wav") == TALK_SAMPLES - TALK_RATE // 4
    code, _, errors = call("decompress", talk_hac, "none.wav", "--start", "2")
    assert (code, errors) == (2, f"hac: {talk_hac}: the recording ends at 1.008 s, before that start\n")
    for wrong in ("-1", "x", "1:60", "1:60:00", "1:2:3:4", " ", 400 * "9"):
        code, _, errors = call("decompress", talk_hac, "none.wav", "--start", wrong)
        assert code == 2 and "is no time" in errors
    assert not (folder / "none.wav").exists()


def test_recover(call, folder):
    data = bytearray(make_hac(folder / "hurt.hac", samples=31_000).read_bytes())
    data[44 + 80 + 20] ^= 1  # in the second of four blocks of 0.4 s
    (folder / "hurt.hac").write_bytes(data)
    assert call("decompress", "hurt.hac", "none.wav")[0] == 5
    assert not (folder / "none.wav").exists()
    code, _, errors = call("decompress", "-q", "--recover", "hurt.hac", "whole.wav")
    assert (code, errors) == (5, "hac: hurt.hac: is damaged; recovered but for 0.36 s to 0.76 s (checksum mismatch)\n")
    assert frames_of("whole.wav") == 31_000
    (folder / "cut.hac").write_bytes(data[:150])
    assert call("decompress", "-q", "--recover", "cut.hac", "cut.wav")[0] == 5
    assert frames_of("cut.wav") == 31_000
    make_hac(folder / "good.hac", samples=31_000)
    assert call("decompress", "-q", "--recover", "good.hac", "good.wav") == (0, "", "")


def test_a_part_tells_of_what_takes_of_it(call, folder):
    whole = make_hac(folder / "whole.hac", frames=3000).read_bytes()  # 40 s in blocks of 0.4 s, of 80 bytes
    parts = {
        "cut.hac": (whole[: 44 + 60 * 80], ("--start", "20"), "no end block"),
        "joined.hac": (2 * whole, ("--start", "20"), "another .hac file follows the end block"),
        "hole.hac": (whole[: 44 + 20 * 80] + whole[44 + 30 * 80 :], ("--start", "12", "--duration", "4"), "missing"),
    }
    for name, (data, part, told) in parts.items():
        (folder / name).write_bytes(data)
        code, _, errors = call("decompress", "-q", "--recover", name, "part.wav", *part, "-f")
        assert code == 5 and told in errors, name
        assert call("decompress", "-q", "--recover", name, "early.wav", "--start", "1", "--duration", "2", "-f")[0] == 0
    (folder / "piped.hac").write_bytes(make_hac(folder / "piped.hac", total_samples=None).read_bytes()[:44])
    code, _, errors = call("decompress", "-q", "--recover", "piped.hac", "none.wav", "--start", "5")
    assert code == 5 and "nothing is left of it behind 0.000 s (truncated; no end block)" in errors


def test_a_start_behind_the_last_samples_is_no_damage(call, folder):
    """Though the last block may hold nothing else."""
    make_hac(folder / "a.hac", frames=63, samples=60 * 320 - 10)
    code, _, errors = call("decompress", "a.hac", "none.wav", "--start", "100")
    assert (code, errors) == (2, "hac: a.hac: the recording ends at 0.800 s, before that start\n")


@pytest.mark.parametrize("name", ["hurt.hac", "-"])
def test_recover_a_file_whose_header_is_damaged(name, call, hac, folder):
    data = bytearray(make_hac(folder / "long.hac", frames=5400, frames_per_block=300).read_bytes())
    assert call("decompress", "long.hac", "whole.wav")[0] == 0
    data[5] ^= 4
    (folder / "hurt.hac").write_bytes(data)
    code, _, told = call("decompress", "hurt.hac", "none.wav")
    assert code == 5 and "header is missing or damaged; hac decompress --recover goes by a copy of it" in told
    done = hac("decompress", "--recover", name, "again.wav", input=bytes(data), text=False)
    assert done.returncode == 5 and b"(the header is damaged or missing; a copy of it was read)" in done.stderr
    again, whole = (soundfile.read(name, dtype="int16")[0] for name in ("again.wav", "whole.wav"))
    assert np.array_equal(again, whole)
    code, out, _ = call("verify", "hurt.hac")
    assert code == 5 and "nothing is lost there: the header is damaged" in out


def test_what_is_there_of_days_is_recovered(call, folder):
    """More silence than a day is made of no header's word."""
    days = make_hac(folder / "days.hac", total_samples=3 * 86_400 * 24_000)
    days.write_bytes(days.read_bytes()[:-60])  # the end block and a part of the fourth of data
    code, _, errors = call("decompress", "-q", "--recover", "days.hac", "days.wav")
    assert code == 5 and "recovered as far as it goes" in errors
    assert frames_of("days.wav") == 90 * 320 - LATE


def test_recover_tells_of_a_second_recording(call, folder):
    """Which it leaves out, whatever else is wrong with the first."""
    data = bytearray(make_hac(folder / "one.hac").read_bytes())
    whole = bytes(data)
    (folder / "two.hac").write_bytes(data + whole)
    data[44 + 80 + 20] ^= 1
    (folder / "hurt.hac").write_bytes(data + whole)
    advice = f"another .hac file follows the end block; tail -c +{len(data) + 1} gives it, hac cat joins such files"
    code, _, errors = call("decompress", "-q", "--recover", "two.hac", "two.wav")
    assert (code, errors) == (5, f"hac: two.hac: is damaged; recovered as far as it goes ({advice})\n")
    code, _, errors = call("decompress", "-q", "--recover", "hurt.hac", "hurt.wav")
    assert code == 5 and errors.endswith(f"0.36 s to 0.76 s (checksum mismatch; {advice})\n")
    assert call("info", "-q", "two.hac") == (5, "", f"hac: two.hac: is damaged; {advice}\n")


@pytest.mark.parametrize(
    ("hurt", "frames", "words"),
    [
        (lambda data: data[:-1], 100 * 320 - LATE, "truncated; no end block"),
        (lambda data: data[: 44 + 2 * 80], 60 * 320 - LATE, "truncated; no end block"),
        (lambda data: data[:44] + b"?" + data[44:], 31_000, "no block begins where one should"),
        (lambda data: data + b"?", 31_000, "bytes follow the end block"),
    ],
)
def test_recover_never_keeps_quiet_about_damage(hurt, frames, words, call, folder):
    """Not where nothing is known to be lost either, as in a file that was written to a pipe and is cut off."""
    data = make_hac(folder / "hurt.hac", samples=31_000, total_known=False).read_bytes()
    (folder / "hurt.hac").write_bytes(hurt(data))
    code, _, errors = call("decompress", "-q", "--recover", "hurt.hac", "whole.wav")
    assert (code, errors) == (5, f"hac: hurt.hac: is damaged; recovered as far as it goes ({words})\n")
    assert frames_of("whole.wav") == frames


def test_what_follows_in_a_pipe_takes_nothing_from_what_came_before(hac, folder):
    file = make_hac(folder / "one.hac", samples=31_000).read_bytes()
    whole = hac("decompress", "-q", "-", "-", input=file, text=False)
    more = hac("decompress", "-q", "-", "-", input=file + b"\n", text=False)
    assert (whole.returncode, more.returncode) == (0, 5)
    assert b"bytes follow the end block; hac decompress --recover passes over them" in more.stderr
    assert more.stdout == whole.stdout


def test_recover_a_file_with_a_block_of_its_twin(call, folder):
    """The digest tells that something is wrong, not where: all is kept."""
    file = make_hac(folder / "hurt.hac", samples=31_000).read_bytes()
    twin = make_hac(folder / "twin.hac", samples=31_000, seed=2).read_bytes()
    (folder / "hurt.hac").write_bytes(file[: 44 + 80] + twin[44 + 80 : 44 + 160] + file[44 + 160 :])
    code, _, errors = call("decompress", "-q", "--recover", "hurt.hac", "whole.wav")
    assert code == 5 and "digest mismatch" in errors
    assert frames_of("whole.wav") == 31_000
    assert soundfile.read("whole.wav")[0][-2_000:].any()


def test_samples_that_no_frame_gives_are_silent(call, folder):
    """A header and an end block may claim one frame more than there is, and what the decoder drops in front."""
    make_hac(folder / "long.hac", frames=100, samples=101 * 320)
    assert call("decompress", "-q", "long.hac", "long.wav") == (0, "", "")
    samples = soundfile.read("long.wav")[0]
    assert len(samples) == 101 * 320 and samples[96 * 320 : 97 * 320].any() and not samples[97 * 320 :].any()
    make_hac(folder / "many.hac", frames=400, samples=60_000)
    code, _, errors = call("decompress", "-q", "many.hac", "many.wav")
    assert (code, errors) == (5, "hac: many.hac: it says that it has 60000 samples, and has frames for more\n")


def test_cut_ends_where_the_recording_does(call, folder):
    """Which may be before the end of the last frame."""
    make_hac(folder / "talk.hac", samples=31_007, frames=98)
    assert call("cut", "talk.hac", "part.hac", "--start", "1", "--duration", "0.292")[0] == 0
    assert json.loads(call("info", "--json", "part.hac")[1])["samples"] == 31_007 - 24_000
    code, _, errors = call("cut", "talk.hac", "none.hac", "--start", "1.2921", "--duration", "0.001")
    assert (code, errors) == (2, "hac: talk.hac: the recording ends at 1.292 s, before that start\n")


def test_cat_reads_pipes_by_name(call, folder, talk_hac):
    os.mkfifo(folder / "pipe")
    data = talk_hac.read_bytes()
    feeder = threading.Thread(target=lambda: (folder / "pipe").write_bytes(data))
    feeder.start()
    assert call("cat", "pipe", talk_hac, "both.hac")[0] == 0
    feeder.join()
    assert call("verify", "both.hac")[0] == 0


@pytest.mark.parametrize("line", [("compress", "", "a.hac"), ("cat", "", "b.hac", "a.hac"), ("decompress", "", "a.wav"),
                                  ("decompress", "b.hac", ""), ("batch", "compress", "", "a")])  # fmt: skip
def test_no_name_is_no_pipe(line, call, folder):
    code, _, errors = call(*line)
    assert code == 2 and "empty, as that of a shell's variable" in errors
    assert not any(folder.iterdir())


def test_cut_and_cat(call, folder, talk_hac):
    code, _, text = call("cut", talk_hac, "part.hac", "--start", "0.25", "--duration", "0.5")
    assert (code, text) == (0, f"{talk_hac} -> part.hac: 0.510 s from 0.240 s on\n")
    code, _, text = call("cat", "part.hac", talk_hac, "all.hac")
    assert (code, text) == (0, f"part.hac at 0.000 s of all.hac\n{talk_hac} at 0.560 s of all.hac\n")
    assert call("verify", "all.hac") == (0, "all.hac: OK, 1.57 s in 1 block\n", "")
    assert call("cat", "part.hac", "part.hac")[0] == 2  # the output is an input
    make_hac(folder / "other.hac")
    code, _, errors = call("cat", talk_hac, "other.hac", "none.hac")
    assert code == 2 and "has another model, sample rate, number of channels or kind of gains" in errors
    (folder / "hurt.hac").write_bytes((folder / "part.hac").read_bytes()[:-1])
    code, _, errors = call("cat", "part.hac", "hurt.hac", "none.hac")
    assert code == 5 and errors.startswith("hac: hurt.hac: truncated")
    assert call("cut", "hurt.hac", "none.hac")[0] == 5
    assert not (folder / "none.hac").exists()


@pytest.mark.parametrize("payload", ["coded", "raw"])
def test_payload_and_metadata(payload, call, folder, talk):
    samples, rate = soundfile.read(talk)
    with soundfile.SoundFile(folder / "talk.flac", "w", rate, 1) as file:
        file.title = "a\tb"
        file.write(samples)
    assert call("-q", "compress", "--payload", payload, "talk.flac")[0] == 0
    facts = json.loads(call("info", "--json", "talk.hac")[1])
    assert facts["payload_coding"] == {"coded": "predicted", "raw": "raw"}[payload]
    assert facts["metadata"] == {"title": "a\tb"}
    assert "\n  title      a\\tb\n" in call("info", "talk.hac")[1]
    assert call("-q", "compress", "-f", "--no-metadata", "talk.flac")[0] == 0
    assert json.loads(call("info", "--json", "talk.hac")[1])["metadata"] == {}


def test_a_coded_file_of_other_weights(call, folder, talk_hac):
    """Everything but its tokens can be checked and told."""
    header = bytearray(talk_hac.read_bytes())
    header[24] ^= 1  # the weights' digest; the header's checksum and all blocks' are wrong then
    (folder / "hurt.hac").write_bytes(header)
    assert call("info", "hurt.hac")[0] == 5
    make_hac(folder / "other.hac", weights_digest=b"whatever")
    assert call("verify", "other.hac")[0] == 0
    assert call("decompress", "other.hac")[0] == 6
