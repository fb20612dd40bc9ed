"""``hac batch`` as people use it: one tree with everything in it, there and back, and what becomes of failures."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_tools import HAC, make_hac, names, write_talk

import hac_cli
from hac_cli.audio import AudioReader
from hac_cli.batch import manifest, tokens, work
from hac_cli.batch.job import Item, Job, Settings
from hac_cli.cli.app import run
from hac_cli.errors import OutputError

GOOD = {"plain.wav": 4_000, "a/b/deep.flac": 4_001, "new\nline 🎙.wav": 3_999, os.fsdecode(b"\xff\xfe.wav"): 100}


def samples_of(path: Path) -> np.ndarray:
    with AudioReader(path) as reader:
        return np.concatenate([np.zeros((reader.channels, 0), np.float32), *reader], 1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A folder of recordings that can be read, and of much that can't."""
    folder = tmp_path_factory.mktemp("tree")
    for name, samples in GOOD.items():
        write_talk(folder / name, samples)
    (folder / "text.wav").write_text("This is no audio, whatever the name says.\n" * 100)
    whole = (folder / "plain.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[:-2_000])
    (folder / "gone.wav").symlink_to("nowhere.wav")
    (folder / "a" / "loop").symlink_to("..")
    (folder / "notes.txt").touch()
    os.mkfifo(folder / "pipe.wav")
    return folder


@pytest.fixture(scope="module")
def done(tree):
    """The tree compressed into a folder inside of it: exit code, events, messages."""
    arguments = ["batch", "compress", "--json", "-j", "2", tree, tree / "out"]
    result = subprocess.run([HAC, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_the_rest_is_done(done, tree):
    code, events, errors = done
    assert code == 1
    kinds = [event["event"] for event in events]
    assert kinds[0] == "plan" and kinds[-1] == "summary" and {"hac-batch-1"} == {event["schema"] for event in events}
    good = {event["input"]: event for event in events if event["event"] == "done"}
    assert good.keys() == GOOD.keys() | {"cut.wav"}
    for name, samples in GOOD.items():
        output = (tree / "out" / good[name]["output"]).read_bytes()
        assert good[name]["seconds"] == pytest.approx(samples / 16_000, abs=1e-6)
        assert (good[name]["output_bytes"], good[name]["digest"]) == (len(output), sha256(output).hexdigest())
        hac_cli.compress(tree / name, tree / "alone.hac")
        assert (tree / "alone.hac").read_bytes() == output
        (tree / "alone.hac").unlink()
    assert "ends after" in good["cut.wav"]["warning"]
    assert {event["input"]: event["exit_code"] for event in events if event["event"] == "failed"} == {
        "text.wav": 3, "gone.wav": 3, "pipe.wav": 3, "a/loop": 3,
    }  # fmt: skip
    summary = events[-1]
    assert (summary["done"], summary["failed"], summary["warnings"]) == (len(GOOD) + 1, 4, 1)
    assert summary["bytes_after"] == sum(event["output_bytes"] for event in good.values())
    assert not [path for path in tree.rglob(".hac-*")]
    # every failure in a line, with its reason
    assert sorted(line.split(": ")[1] for line in errors.splitlines()) == [
        "a/loop", "cut.wav", "gone.wav", "pipe.wav", "text.wav",
    ]  # fmt: skip
    assert "hac: text.wav: is not audio" in errors


def test_nothing_is_done_twice(done, tree, call):
    """Only what failed is tried again, here with links and pipe left out so that nothing is."""
    out = tree / "out"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.hac")}
    arguments = ["compress", "-r", tree, out, "--exclude", "text.wav", "--exclude", "[gp]*.wav", "--include", "*.*"]
    code, output, errors = call(*arguments, "--exclude", "*.txt", "--exclude", "*.hac*")
    assert (code, output) == (1, "")  # the loop is still there
    assert "0 inputs of 0 bytes to compress, 4 done before (1 with warnings, in the manifest)" in errors
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.hac")} == before


def test_dry_run(done, tree, call):
    code, output, errors = call("batch", "compress", "-n", "-v", "--exclude", "*.hac", tree, tree / "none")
    assert code == 1 and not (tree / "none").exists()
    assert "new\\nline 🎙.wav -> new\\nline 🎙.hac" in output.splitlines()
    assert "\\xff\\xfe.wav -> \\xff\\xfe.hac" in output.splitlines()
    assert "1 other file passed over (.txt)" in errors and "engine numpy" in errors


def test_files_from(done, tree, call, tmp_path):
    (tmp_path / "names").write_bytes(b"new\nline \xf0\x9f\x8e\x99.wav\0plain.wav\0\xff\xfe.wav")
    code, output, errors = call("batch", "compress", "-n", "-0", "--files-from", tmp_path / "names", tree, "none")
    assert (code, output.count(" -> ")) == (0, 3), errors
    code, _, errors = call("batch", "compress", "-n", "--files-from", tmp_path / "names", tree, "none")
    assert (code, errors) == (2, "hac: names in --files-from end in a zero byte; add -0\n")
    code, output, errors = call("batch", "compress", "-n", "--files-from", tmp_path / "none", tree, "none")
    assert (code, errors) == (3, f"hac: {tmp_path}/none: no such file; check the name\n")


def test_files_as_find_prints_them(tree, call, tmp_path, monkeypatch):
    """``find FOLDER``: from the working directory on; what is in a folder of that name is meant first."""
    monkeypatch.chdir(tree.parent)
    for given in (f"{tree.name}/plain.wav", "plain.wav", f"{tree}/plain.wav"):
        (tmp_path / "names").write_text(given)
        code, output, errors = call("batch", "compress", "-n", "--files-from", tmp_path / "names", tree.name, "none")
        assert (code, output.count("plain.wav -> plain.hac")) == (0, 1), errors


def test_a_pipe_that_is_closed_is_no_fault_of_the_list(tree, start_hac, tmp_path):
    (tmp_path / "names").write_text("".join(f"missing {number}.wav\n" for number in range(5000)))
    arguments = ("batch", "compress", "-n", "--json", "--files-from", tmp_path / "names", tree, "none")
    process = start_hac(*arguments, stdout=subprocess.PIPE)
    events = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.stdout.close()
    assert [event["event"] for event in events] == ["plan", "failed", "failed"]
    assert b"names" not in process.communicate(timeout=60)[1]
    assert process.returncode == 141


def test_there_and_back(done, tree, hac, tmp_path):
    """Files and a shard in one run; exact lengths, and the same audio as one by one."""
    source, target = tmp_path / "coded", tmp_path / "audio"
    shutil.copytree(tree / "out", source)
    made = tokens.from_hac("in/a/shard.wav", "v2", (source / "plain.hac").read_bytes())
    tokens.write(str(source / "tokens-000000.npz"), "npz", [made])
    make_hac(source / "bad.hac", 30).write_bytes((source / "plain.hac").read_bytes()[:80])
    result = hac("batch", "decompress", "--json", "-j", "1", "--format", "flac", source, target, timeout=300)
    assert result.returncode == 1, result.stderr
    assert result.stderr.splitlines() == ["hac: bad.hac: truncated: it is good up to 0.0 s, then ends without an end "
                                          "block; hac decompress --recover gets over it"]  # fmt: skip
    for name, samples in {**GOOD, "in/a/shard.wav": 4_000}.items():
        path = target / f"{name[: name.rindex('.')]}.flac"
        with path.open("rb") as stream, AudioReader(stream) as reader:
            assert sum(block.shape[1] for block in reader) == samples
    hac_cli.decompress(source / "plain.hac", tmp_path / "alone.flac")
    alone = samples_of(tmp_path / "alone.flac")
    assert np.array_equal(samples_of(target / "plain.flac"), alone)
    assert np.array_equal(samples_of(target / "in/a/shard.flac"), alone)


def test_two_recordings_of_one_name(folder, call):
    """In a folder and in shards: one of them fails, and the rest is done."""
    for name in ("talk.flac", "talk.wav", "other.wav"):
        write_talk(folder / "src" / name)
    code, _, errors = call("batch", "compress", "-j1", "src", "dst")
    assert code == 1 and names(folder / "dst") == [manifest.NAME, "other.hac", "talk.hac"]
    assert "hac: talk.wav: would become talk.hac, as talk.flac does; rename one" in errors
    assert "2 done, 1 failed" in errors
    assert call("batch", "compress", "-q", "-j1", "--to", "npz", "src", "shards")[0] == 0
    code, _, errors = call("batch", "decompress", "-j1", "shards", "audio")
    assert code == 1 and names(folder / "audio") == [manifest.NAME, "other.wav", "talk.wav"]
    assert "hac: talk.wav: would become talk.wav, as talk.flac does" in errors
    assert call("batch", "decompress", "-q", "-j1", "--exclude", "talk.flac", "shards", "more")[0] == 0


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("compress none dst", 3, "hac: {}/none: is no folder"),
        ("compress src/talk.wav dst", 3, "hac: {}/src/talk.wav: is no folder"),
        ("compress -f --skip-existing src dst", 2, "hac: --force and --skip-existing say the opposite"),
        ("compress --model v99 src dst", 6, "hac: there is no model 'v99'"),
        ("compress --to pickle src dst", 2, "hac: Invalid value for '--to'"),
        ("compress src s3://bucket/dst", 2, "hac: s3://bucket/dst: a manifest can't be appended to there"),
        ("compress src -", 2, "hac: a batch goes from folder to folder, and - is a pipe"),
        ("compress odd://host/src dst", 2, "hac: odd://host/src: can't be reached"),
        ("decompress --format xyz src dst", 2, "hac: the extension .xyz is unknown"),
        ("compress --cluster tcp://127.0.0.1:1 src dst", 2, "hac: tcp://127.0.0.1:1: no cluster answers there"),
        ("compress src src/talk.wav", 2, "hac: {}/src/talk.wav: is a file"),
    ],
)
def test_refusals(line, code, message, call, folder, monkeypatch):
    monkeypatch.setattr("hac_cli.batch.cluster.PATIENCE", 1)
    (folder / "src").mkdir()
    (folder / "src" / "talk.wav").touch()
    result = call("batch", *line.split())
    assert result[0] == code, result
    assert result[2].startswith(message.format(folder)) and result[2].count("\n") == 1
    assert not (folder / "dst").is_dir() or names(folder / "dst") in ([], [manifest.NAME])
    assert "is no folder" not in message or not (folder / "dst").exists()


# -- the work itself, in this process ---------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path) -> Settings:
    version, digest = work.identity("v2")
    return Settings("compress", str(tmp_path / "src"), str(tmp_path / "dst"), version, "v2", digest)


def job(*items: Item) -> Job:
    return Job(items, 1)


def test_an_input_is_never_overwritten(settings, tmp_path):
    """Whatever links say, and though outputs were to be overwritten."""
    talk = write_talk(tmp_path / "src" / "talk.wav")
    (tmp_path / "dst").symlink_to("src")
    before = talk.read_bytes()
    (outcome,) = work.work(job(Item("talk.wav", "talk.wav", 1, "")), settings)
    assert "would be lost" in str(outcome.error) and talk.read_bytes() == before


def test_what_came_to_exist_meanwhile_is_kept(settings, tmp_path):
    """But for what a worker that died may have left of the same job, and for links to nothing."""
    write_talk(tmp_path / "src" / "talk.wav")
    target = tmp_path / "dst" / "talk.hac"
    target.parent.mkdir()
    target.symlink_to("nowhere")
    planned = job(Item("talk.wav", "talk.hac", 1, "", free=True))
    (first,) = work.work(planned, settings)
    assert not first.error and sha256(target.read_bytes()).hexdigest() == first.digest
    target.write_bytes(b"somebody's")
    (other,) = work.work(planned, settings)
    assert "has come to exist" in str(other.error) and other.exit_code == OutputError.exit_code
    assert target.read_bytes() == b"somebody's" and list(target.parent.iterdir()) == [target]
    (again,) = work.work(planned.again(), settings)
    assert not again.error and sha256(target.read_bytes()).hexdigest() == first.digest


def test_other_versions_are_refused(settings):
    for other in ({"version": "0.0.1"}, {"weights_digest": "00"}):
        with pytest.raises(hac_cli.HacError, match="install the same on every machine"):
            work.work(job(), Settings(**(vars(settings) | other)))


def test_inputs_by_content(settings, tmp_path):
    talk = write_talk(tmp_path / "src" / "talk.wav")
    hashed = Settings(**(vars(settings) | {"hash_inputs": True}))
    (first,) = work.work(job(Item("talk.wav", "talk.hac", 1, "")), hashed)
    assert first.input_digest == sha256(talk.read_bytes()).hexdigest() and not first.unchanged
    (same,) = work.work(job(Item("talk.wav", "talk.hac", 1, "", digest=first.input_digest)), hashed)
    assert same.unchanged and same.output_bytes == first.output_bytes
    (other,) = work.work(job(Item("talk.wav", "talk.hac", 1, "", digest="00")), hashed)
    assert not other.unchanged and other.digest == first.digest


@pytest.mark.parametrize("extension", ["npz", "parquet", "jsonl"])
def test_a_shard_changes_only_where_inputs_do(extension, settings, tmp_path):
    """Tokens of recordings that are not among the job's stay, even if their audio is gone."""
    settings = Settings(**(vars(settings) | {"shard_format": extension}))
    for name, channels in (("one", 1), ("two", 2), ("bad", 1)):
        write_talk(tmp_path / "src" / f"{name}.wav", 4_000, channels)
    (tmp_path / "src" / "bad.wav").write_bytes(b"no audio")
    shard = f"tokens-000000.{extension}"
    items = [Item(f"{name}.wav", shard, 1, "") for name in ("one", "two", "bad")]
    outcomes = work.work(job(*items), settings)
    assert [bool(outcome.error) for outcome in outcomes] == [False, False, True]
    before = {recording.path: recording for recording in tokens.read(str(tmp_path / "dst" / shard))}
    assert before["two.wav"].tokens.shape[0] == 2 and before["two.wav"].samples == 4_000
    hac_cli.compress(tmp_path / "src" / "one.wav", tmp_path / "one.hac")
    assert tokens.from_hac("one.wav", "v2", (tmp_path / "one.hac").read_bytes()).digest == before["one.wav"].digest
    assert tokens.from_hac("one.wav", "v2", tokens.to_hac(before["one.wav"])).digest == before["one.wav"].digest

    (tmp_path / "src" / "one.wav").unlink()
    write_talk(tmp_path / "src" / "two.wav", 5_000)
    (outcome,) = work.work(job(items[1]), settings)
    after = {recording.path: recording for recording in tokens.read(str(tmp_path / "dst" / shard))}
    assert after.keys() == before.keys() and after["two.wav"].samples == 5_000
    assert np.array_equal(after["one.wav"].tokens, before["one.wav"].tokens)
    assert outcome.output_bytes == (tmp_path / "dst" / shard).stat().st_size


def test_what_an_input_was_stays_where_it_can_not_be_read_any_more(folder, call):
    """And where it is, when it can be read again, is where it was."""
    for name in ("one", "two"):
        write_talk(folder / "in" / f"{name}.wav", 4_000)
    line = ("-q", "batch", "compress", "-j", "1", "in", "out", "--to", "jsonl")
    assert call(*line)[0] == 0
    before = tokens.read("out/tokens-000000.jsonl")
    (folder / "in" / "one.wav").write_bytes(b"no audio")
    assert call(*line)[0] == 1
    assert {item.path: item.digest for item in tokens.read("out/tokens-000000.jsonl")} == {
        item.path: item.digest for item in before
    }
    write_talk(folder / "in" / "one.wav", 5_000)
    assert call(*line)[0] == 0
    assert names(folder / "out") == ["hac-batch.jsonl", "tokens-000000.jsonl"]
    assert {item.path: item.samples for item in tokens.read("out/tokens-000000.jsonl")} == {
        "one.wav": 5_000, "two.wav": 4_000,
    }  # fmt: skip


@pytest.mark.parametrize("own", [True, False])
def test_what_a_run_had_begun_may_be_somebody_elses(own, folder, call):
    write_talk(folder / "in" / "talk.wav")
    line = ("-q", "batch", "compress", "-j", "1", "in", "out")
    assert call(*line)[0] == 0
    log = folder / "out" / "hac-batch.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if '"done"' not in line))
    there = folder / "out" / "talk.hac"
    if not own:
        there.write_text("of value")
    before = there.read_bytes()
    code, _, errors = call(*line)
    assert code == (0 if own else 1) and ("isn't this batch's own" in errors) == (not own)
    assert there.read_bytes() == before
    assert call(*line)[0] == code
    assert call(*line, "-f")[0] == 0


FULL = """
mount -t tmpfs -o size=60k none dst
"{hac}" batch compress -j 1 src dst; echo "code $?"
ls -A dst
"""


@pytest.mark.slow
def test_full_disk(tmp_path):
    """It stops at once, says why, and leaves no half of a file; with room again, the rest is done."""
    for number in range(300):
        write_talk(tmp_path / "src" / f"{number:03}.wav", 400)
    (tmp_path / "dst").mkdir()
    script = FULL.format(hac=HAC)
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    if "unshare failed" in result.stderr or "permission denied" in result.stderr:
        pytest.skip("this system lets nobody mount a file system of a size")
    assert "code 1" in result.stdout or "code 4" in result.stdout, result.stderr
    assert "the disk is full; make room" in result.stderr
    assert ".part" not in result.stdout and result.stdout.count(".hac\n") in range(3, 50)


@pytest.mark.slow
def test_display(tmp_path):
    """On a terminal: what is going on, and how long it will take."""
    import pty

    write_talk(tmp_path / "src" / "talk.wav")
    reader, terminal = pty.openpty()
    process = subprocess.Popen([HAC, "batch", "compress", "-j", "1", tmp_path / "src", tmp_path / "dst"],
                               stderr=terminal, env={**os.environ, "TERM": "xterm", "COLUMNS": "150"})  # fmt: skip
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other end was closed
        while data := os.read(reader, 1000):
            shown += data
    assert process.wait(60) == 0
    text = shown.decode()
    assert "starting workers" in text and "left" in text
    assert "1 done in" in text and "0.2 s of audio" in text and "kbit/s" in text
    assert text.rstrip().endswith("kbit/s") and "\x1b[?25h" in text


@pytest.mark.slow
def test_an_alias(folder, call):
    write_talk(folder / "src" / "talk.wav")
    assert call("compress", "-qr", "-j1", "src", "dst")[0] == 0
    assert call("decompress", "--recursive", "-j1", "dst", "back")[0] == 0
    assert samples_of(folder / "back" / "talk.wav").shape == (1, 4_000)
    assert "no such command" not in call("compress", "-rh")[1]
    assert run(["compress", "--", "-r"]) == 3  # a file of that name


def test_damaged_files_are_recovered_if_asked(call, folder):
    (folder / "in").mkdir()
    make_hac(folder / "in" / "good.hac", samples=31_000)
    data = bytearray(make_hac(folder / "in" / "hurt.hac", samples=31_000).read_bytes())
    data[44 + 80 + 20] ^= 1
    (folder / "in" / "hurt.hac").write_bytes(data)
    assert call("-q", "batch", "decompress", "-j", "1", "in", "out")[0] == 1
    assert names(folder / "out") == ["good.wav", "hac-batch.jsonl"]
    code, told, errors = call("-q", "batch", "decompress", "-j", "1", "--recover", "--json", "in", "out")
    assert (code, errors) == (1, "hac: hurt.hac: is damaged; recovered but for 0.36 s to 0.76 s (checksum mismatch)\n")
    done, failed = (json.loads(told.splitlines()[-1])[key] for key in ("done", "failed"))
    assert (done, failed) == (0, 1)  # the good one stays as it is
    assert samples_of(folder / "out" / "hurt.wav").shape == (1, 31_000)
    for again in (("--recover",), ()):  # it is damaged still, and no batch says otherwise
        assert call("-q", "batch", "decompress", "-j", "1", *again, "in", "out")[0] == 1
    assert samples_of(folder / "out" / "hurt.wav").shape == (1, 31_000)


def test_the_name_of_a_manifest(folder, call):
    write_talk(folder / "in" / "talk.wav")
    assert call("-q", "batch", "compress", "-j", "1", "in", "out", "--manifest", "out/log.jsonl")[0] == 0
    assert call("-q", "batch", "decompress", "-j", "1", "out", "back")[0] == 0  # which is no shard of tokens
    assert names(folder / "back") == ["hac-batch.jsonl", "talk.wav"]
    kept = (folder / "in" / "talk.wav").read_bytes()
    code, _, errors = call("-q", "batch", "compress", "in", "out", "--manifest", "in/talk.wav")
    assert code == 2 and "is no manifest of a batch, and is left as it is" in errors
    assert (folder / "in" / "talk.wav").read_bytes() == kept
    (folder / "torn.jsonl").write_text('{"schema": "hac-batch-1", "event": "ru')
    assert call("-q", "batch", "compress", "-j", "1", "in", "other", "--manifest", "torn.jsonl")[0] == 0
    (folder / "link").symlink_to("none/log.jsonl")
    for wrong in (("-n", "in", "out", "--manifest", "."), ("in", "out", "--manifest", "link")):
        code, _, errors = call("batch", "compress", *wrong)
        assert code == 4 and errors.endswith("name another file with --manifest\n")


def test_a_name_without_an_extension_stays_whole(folder, call):
    write_talk(folder / "in" / "plain.wav").rename(folder / "in" / "Dr. Smith")
    assert call("-q", "compress", "in/Dr. Smith")[0] == 0
    assert call("-q", "batch", "compress", "-j", "1", "--include", "Dr. Smith", "in", "out")[0] == 0
    assert (folder / "in" / "Dr. Smith.hac").is_file() and (folder / "out" / "Dr. Smith.hac").is_file()


def test_what_somebody_has_changed_is_left_alone(folder, call):
    """Even where it is as large as it was."""
    write_talk(folder / "in" / "talk.wav")
    assert call("-q", "batch", "compress", "-j", "1", "in", "coded")[0] == 0
    assert call("-q", "batch", "decompress", "-j", "1", "coded", "out")[0] == 0
    edited = bytearray((folder / "out" / "talk.wav").read_bytes())
    edited[2_000:] = bytes(len(edited) - 2_000)
    (folder / "out" / "talk.wav").write_bytes(edited)
    os.utime(folder / "coded" / "talk.hac", (0, 0))
    code, _, errors = call("-q", "batch", "decompress", "-j", "1", "coded", "out")
    assert code == 1 and "its output talk.wav exists, and isn't this batch's own" in errors
    assert (folder / "out" / "talk.wav").read_bytes() == edited


def test_what_was_private_stays_so(folder, call):
    write_talk(folder / "in" / "talk.wav")
    assert call("-q", "batch", "compress", "-j", "1", "in", "out")[0] == 0
    for samples, mode in ((5_000, 0o600), (6_000, 0o440)):
        (folder / "out" / "talk.hac").chmod(mode)
        write_talk(folder / "in" / "talk.wav", samples)
        assert call("-q", "batch", "compress", "-j", "1", "in", "out")[0] == 0
        assert (folder / "out" / "talk.hac").stat().st_mode & 0o777 == mode


def test_no_metadata(call, folder):
    (folder / "in").mkdir()
    with soundfile.SoundFile(folder / "in" / "talk.flac", "w", 24_000, 1) as file:
        file.title = "secret"
        file.write(np.zeros(2_400))
    assert call("-q", "batch", "compress", "-j", "1", "--no-metadata", "in", "bare")[0] == 0
    assert call("-q", "batch", "compress", "-j", "1", "in", "told")[0] == 0
    assert call("-q", "batch", "decompress", "-j", "1", "--format", "flac", "--no-metadata", "told", "back")[0] == 0
    assert json.loads(call("info", "--json", "bare/talk.hac")[1])["metadata"] == {}
    assert json.loads(call("info", "--json", "told/talk.hac")[1])["metadata"] == {"title": "secret"}
    with soundfile.SoundFile(folder / "back" / "talk.flac") as file:
        assert not file.title


def test_what_was_decoded_is_not_coded_again(hac, tmp_path):
    """The second generation would take the place of the first, which is all that there is."""
    source, target = tmp_path / "in", tmp_path / "out"
    write_talk(source / "talk.wav")
    assert hac("batch", "compress", source, target).returncode == 0
    first = (target / "talk.hac").read_bytes()
    (source / "talk.wav").unlink()
    assert hac("batch", "decompress", target, source).returncode == 0
    again = hac("batch", "compress", source, target)
    assert again.returncode == 1 and "what is here was decoded" in again.stderr
    assert (target / "talk.hac").read_bytes() == first
    assert hac("batch", "compress", "--skip-existing", source, target).returncode == 0
    assert hac("batch", "compress", source, tmp_path / "elsewhere").returncode == 0  # where nothing is lost by it
    assert hac("batch", "compress", "-f", source, target).returncode == 0
