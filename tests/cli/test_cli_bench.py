"""``hac bench`` as a user runs it: good and bad clips, good and bad codecs, results kept, continued and compared."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from cli_tools import make_hac, names

from hac_cli.cli.app import run

pytestmark = pytest.mark.slow

SPEECH = Path(__file__).parents[2] / "samples" / "speech.wav"

COARSE = """
import array, sys, wave
with wave.open(sys.argv[1]) as source, wave.open(sys.argv[2], "wb") as target:
    target.setparams(source.getparams())
    samples = array.array("h", source.readframes(source.getnframes()))
    target.writeframes(array.array("h", [sample & ~int(sys.argv[3]) for sample in samples]).tobytes())
"""

CODECS = """
["my copy"]
encode = "cp {{in}} {{out}}"
decode = "cp {{in}} {{out}}"
payload = "file"

["my coarse"]
encode = "{python} -I -S {script} {{in}} {{out}} {mask}"
decode = "cp {{in}} {{out}}"

["my bad: fails"]
encode = "false {{in}} {{out}}"
decode = "cp {{in}} {{out}}"

["my bad: hangs"]
encode = "sh -c 'test $(wc -c < {{in}}) -gt 3000 || sleep 60; cp {{in}} {{out}}'"
decode = "cp {{in}} {{out}}"

["my bad: missing"]
encode = "hac-no-such-program {{in}} {{out}}"
decode = "cp {{in}} {{out}}"
install = "apt install nothing"
"""


def write_codecs(folder: Path, mask: int) -> Path:
    """The codec file, in which ``coarse`` takes the bits of ``mask`` away."""
    script, path = folder / "coarse.py", folder / f"codecs-{mask}.toml"
    script.write_text(COARSE, encoding="utf-8")
    path.write_text(CODECS.format(python=sys.executable, script=script, mask=mask), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of clips of many kinds, the codec files, and the results of one run over them."""
    root = tmp_path_factory.mktemp("bench")
    clips = root / "clips"
    (clips / "more").mkdir(parents=True)
    speech, rate = soundfile.read(SPEECH, dtype="float32")
    soundfile.write(clips / "speech.flac", speech[: 3 * rate], rate)
    soundfile.write(clips / "more" / "stereo.ogg", np.stack([speech[:72_000], speech[72_000:144_000]], 1), rate)
    soundfile.write(clips / "8k.wav", speech[: 9 * rate : 3], 8_000)
    soundfile.write(clips / "clipped.wav", np.clip(20 * speech[: 3 * rate], -1, 1), rate)
    soundfile.write(clips / "short.wav", speech[rate : rate + 1200], rate)
    soundfile.write(clips / "silent.wav", np.zeros(rate), rate)
    whole = (clips / "speech.flac").read_bytes()
    (clips / "corrupt.flac").write_bytes(b"fLaC" + bytes(500))
    (clips / "cut.wav").write_bytes(SPEECH.read_bytes()[:50_000])
    (clips / "notes.txt").write_text("no audio")
    (clips / ".hidden.flac").write_bytes(whole)
    codecs, results = write_codecs(root, 255), root / "results.json"
    code = run(["-q", "bench", str(clips), "--codecs", str(codecs), "--only", "MY ", "--no-speed",
                "-j", "1", "--time-limit", "3", "--results", str(results)])  # fmt: skip
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return SimpleNamespace(root=root, clips=clips, codecs=codecs, results=results, lines=lines, code=code)


def rows(made, codec):
    return {line["clip"]: line for line in made.lines if line["kind"] == "clip" and line["codec"] == codec}


def test_failures_are_listed_and_stop_nothing(made):
    assert made.code == 1
    about = made.lines[0]
    assert about["kind"] == "run" and about["schema"] == "hac-bench-1"
    assert about["failed_clips"].keys() == {"corrupt.flac", "cut.wav"}
    assert about["clips"].keys() == {
        "8k.wav",
        "clipped.wav",
        "more/stereo.ogg",
        "short.wav",
        "silent.wav",
        "speech.flac",
    }
    assert about["missing"]["my bad: missing"] == "apt install nothing"
    assert all("exit code 1" in row["error"] for row in rows(made, "my bad: fails").values())
    hangs = {clip: row["error"] for clip, row in rows(made, "my bad: hangs").items() if row["error"]}
    assert hangs.keys() == {"short.wav"} and "stopped after 3 s" in hangs["short.wav"]
    assert len(rows(made, "my copy")) == 6 and not any(row["error"] for row in rows(made, "my copy").values())


def test_clips_are_described(made):
    clips = made.lines[0]["clips"]
    assert clips["silent.wav"]["notes"] == ["silent"] and clips["clipped.wav"]["notes"] == ["clipped"]
    assert clips["more/stereo.ogg"]["channels"] == 2 and clips["8k.wav"]["sample_rate"] == 8_000
    assert clips["short.wav"]["seconds"] == pytest.approx(0.05)


def test_scores_and_refusals(made):
    copied, coarse = rows(made, "my copy"), rows(made, "my coarse")
    assert copied["speech.flac"]["scores"]["mel"] < 0.05 and copied["speech.flac"]["scores"]["si_sdr"] > 40
    assert copied["speech.flac"]["scores"]["stoi"] > 0.999
    assert coarse["speech.flac"]["scores"]["si_sdr"] < copied["speech.flac"]["scores"]["si_sdr"] - 10
    assert "stoi" in copied["short.wav"]["refused"] and "mel" in copied["short.wav"]["scores"]
    assert "silent" in copied["silent.wav"]["refused"]["si_sdr"]
    mean = next(line for line in made.lines if line["kind"] == "mean" and line["codec"] == "my copy")
    assert mean["scores"]["si_sdr"]["refused"] == 1 and mean["scores"]["si_sdr"]["clips"] == 5
    assert mean["scores"]["stoi"]["low"] <= mean["scores"]["stoi"]["mean"] <= mean["scores"]["stoi"]["high"]


def test_sizes(made):
    row = rows(made, "my copy")["speech.flac"]
    assert row["file_bytes"] == row["payload_bytes"] == 44 + 2 * 72_000
    assert row["bitrate"] == pytest.approx(8 * row["file_bytes"] / 3)


def test_machine_and_versions_are_part_of_it(made):
    about = made.lines[0]
    assert about["machine"]["processor"] and about["machine"]["cores"] >= 1 and about["versions"]["numpy"]


def bench(call, made, results, *more, codecs=None):
    return call("bench", made.clips, "--codecs", codecs or made.codecs, "--only", "MY ", "--no-speed",
                "--time-limit", 3, "--results", results, "-j", 2, *more)  # fmt: skip


def test_a_run_that_was_stopped_goes_on_to_the_same_results(call, made, tmp_path):
    results = tmp_path / "results.json"
    text = made.results.read_text(encoding="utf-8").splitlines(keepends=True)
    complete = [line for line in text[1:] if '"error": null' in line and '"clip"' in line]
    results.write_text(text[0] + "".join(complete[:-1]) + complete[-1][:50], encoding="utf-8")
    code, out, err = bench(call, made, results, "--resume", "--json")
    assert code == 1 and "cut.wav" in err
    assert results.read_text(encoding="utf-8") == made.results.read_text(encoding="utf-8") == out
    assert names(tmp_path) == ["results.json"]


def test_a_speed_that_could_not_be_measured_is_measured_again(call, folder):
    (folder / "clips").mkdir()
    shutil.copy(SPEECH, folder / "clips")
    arguments = (
        "bench",
        "clips",
        "--codecs",
        write_codecs(folder, 15),
        "--only",
        "my bad: fails",
        "--results",
        "a.json",
    )
    assert call(*arguments)[0] == 1
    assert all(line["error"] for line in speeds(folder / "a.json"))
    codecs = (folder / "codecs-15.toml").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in (folder / "a.json").read_text(encoding="utf-8").splitlines()]
    mended = codecs.replace("false {in} {out}", "cp {in} {out}")
    write_codecs(folder, 15).write_text(mended, encoding="utf-8")
    lines[0]["codecs"][0]["definition"]["encode"] = "cp {in} {out}"
    (folder / "a.json").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert call(*arguments, "--resume")[0] == 0
    assert not any(line["error"] for line in speeds(folder / "a.json"))


def speeds(path: Path) -> list[dict]:
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["kind"] == "speed"]


def test_results_that_lack_something_are_refused(call, made, tmp_path):
    lines = made.results.read_text(encoding="utf-8").replace('"digest":', '"digestion":')
    (tmp_path / "other.json").write_text(lines, encoding="utf-8")
    code, _, err = call("bench", "--compare", made.results, tmp_path / "other.json")
    assert code == 3 and "doesn't tell digest of a clip; measure again" in err


def test_other_settings_do_not_mix(call, made, tmp_path):
    other = write_codecs(tmp_path, 127)
    results = tmp_path / "results.json"
    shutil.copy(made.results, results)
    code, _, err = bench(call, made, results, "--resume", codecs=other)
    assert code == 3 and "other codecs" in err
    assert results.read_bytes() == made.results.read_bytes()


def test_results_are_not_overwritten(call, made):
    before = made.results.read_bytes()
    code, _, err = bench(call, made, made.results)
    assert code == 4 and "--resume" in err and made.results.read_bytes() == before


def test_tables_say_everything(capfd, made):
    from hac_cli.cli import bench_tables
    from hac_cli.eval import results

    bench_tables.show(results.read(made.results), per_clip=True)
    out = capfd.readouterr().out
    assert "of 5 clips" in out and "not measured: my bad: missing; apt install nothing" in out
    assert "SI-SDR refuses 1 clip of my copy: silent.wav: silent" in out and "clipped.wav is clipped" in out
    assert out.count("failed") >= 6
    table = list(csv.DictReader(io.StringIO(bench_tables.as_csv(results.read(made.results)))))
    assert len(table) == 24 and {row["codec"] for row in table} == {
        "my copy",
        "my coarse",
        "my bad: fails",
        "my bad: hangs",
    }
    assert float(next(row for row in table if row["clip"] == "8k.wav")["bitrate"]) > 0


def test_compare_guards_a_release(call, made, tmp_path):
    worse = tmp_path / "worse.json"
    lines = [json.loads(line) for line in made.results.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["kind"] == "clip" and line["codec"] == "my coarse" and "si_sdr" in line["scores"]:
            line["scores"]["si_sdr"] -= 3
    worse.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert call("bench", "--compare", made.results, made.results)[0] == 0
    code, out, err = call("bench", "--compare", made.results, worse)
    assert code == 1 and "worse" in out and "worse than" in err
    code, out, _ = call("bench", "--compare", worse, made.results)
    assert code == 0 and "better" in out
    code, out, _ = call("bench", "--compare", made.results, worse, "--json")
    assert code == 1 and json.loads(out.splitlines()[-1])["regressions"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "name a folder"),
        (["nowhere"], 3, "is no folder"),
        (["empty"], 3, "holds no audio"),
        (["broken"], 3, "no clip that can be used"),
        (["broken", "--only", "nothing of this name"], 2, "no codec is left"),
        (["broken", "--metric", "beauty"], 2, "dnsmos, visqol, wer"),
        (["broken", "--model", "v9"], 6, "there is no model"),
        (["broken", "--codecs", "none.toml"], 3, "none.toml"),
        (["broken", "--resume"], 2, "--results"),
        (["broken", "--csv", "--json"], 2, "can't both"),
        (["broken", "--html", "no/page.html"], 4, "folder does not exist"),
        (["broken", "--html", "-"], 2, "--json and --csv give results to standard output"),
        (["broken", "--results", "broken/x.wav", "-f"], 2, "is the name of a recording"),
        (["broken", "--results", "a", "--html", "a"], 2, "name one file"),
        ([""], 2, "an argument is empty"),
        (["broken", "--compare", "a", "b"], 2, "no folder"),
        (["--compare", "a", "b"], 3, "no such file"),
    ],
)
def test_what_makes_no_sense(call, folder, arguments, code, said):
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "x.wav").write_bytes(b"nothing")
    result, out, err = call("bench", *arguments)
    assert result == code and said in err and not out and "Traceback" not in err


@pytest.mark.slow
def test_hac_itself_with_its_speed(hac, tmp_path):
    """The whole command with nothing replaced: HAC on one clip, time and memory, as JSON."""
    (tmp_path / "clips").mkdir()
    shutil.copy(SPEECH, tmp_path / "clips")
    make_hac(tmp_path / "clips" / "not-audio.hac")
    result = hac("bench", tmp_path / "clips", "--only", "hac", "--json", timeout=600)
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    row = next(line for line in lines if line["kind"] == "clip")
    assert 500 < row["payload_bitrate"] < row["bitrate"] < 2000
    speeds = [line for line in lines if line["kind"] == "speed"]
    assert {line["cores"] for line in speeds} == {1, lines[0]["machine"]["cores"]}
    for line in speeds:
        assert line["error"] is None and line["memory_mb"] > line["least_mb"]
        assert line["encode_short"] > 0 and line["decode_short"] > 0 and line["first_block"] > 0
