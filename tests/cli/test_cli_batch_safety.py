"""``hac batch`` leaves alone what is of value to somebody: other batches' files, whole outputs, last copies."""

from __future__ import annotations

import json
import os

import pytest
from cli_tools import make_hac, names, write_talk

COMPRESS, DECOMPRESS = (("-q", "batch", command, "-j", "1") for command in ("compress", "decompress"))


@pytest.mark.parametrize("format", ["npz", "jsonl"])
def test_what_was_begun_elsewhere_is_nobodys_here(format, folder, call):
    """A manifest may be of many batches, whose outputs have the same names."""
    write_talk(folder / "in" / "talk.wav")
    line = (*COMPRESS, "--to", format, "--manifest", "log.jsonl", "in")
    assert call(*line, "one")[0] == 0
    log = folder / "log.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if '"done"' not in line))
    (folder / "two").mkdir()
    (folder / "two" / f"tokens-000000.{format}").write_text("of value")
    code, _, errors = call(*line, "two")
    assert code == 2 and f"holds tokens-000000.{format}, of which the manifest knows nothing" in errors
    assert names(folder / "two") == [f"tokens-000000.{format}"]
    assert (folder / "two" / f"tokens-000000.{format}").read_text() == "of value"


def test_what_was_done_elsewhere_is_not_done_here(folder, call):
    (folder / "in").mkdir()
    make_hac(folder / "in" / "talk.hac")
    line = (*DECOMPRESS, "--manifest", "log.jsonl", "in")
    assert call(*line, "one")[0] == 0
    other = bytes((folder / "one" / "talk.wav").stat().st_size)
    (folder / "two").mkdir()
    (folder / "two" / "talk.wav").write_bytes(other)
    code, _, errors = call(*line, "two")
    assert code == 1 and "exists, and isn't this batch's own" in errors
    assert (folder / "two" / "talk.wav").read_bytes() == other
    assert call(*line, "one", "--json")[0] == 0  # and is still done there
    assert json.loads(call(*line, "one", "--json")[1].splitlines()[-1])["done"] == 0


def test_a_part_takes_no_place_of_the_whole(folder, call):
    talk = write_talk(folder / "in" / "talk.wav", 8_000)
    assert call(*COMPRESS, "in", "out")[0] == 0
    whole = (folder / "out" / "talk.hac").read_bytes()
    talk.write_bytes(talk.read_bytes()[:-2_000])
    for _ in range(2):  # it stays so
        code, _, errors = call(*COMPRESS, "in", "out")
        assert code == 1 and "talk.hac of before, which is whole, is kept: to replace it, use -f" in errors
        assert (folder / "out" / "talk.hac").read_bytes() == whole
    assert "it was coded as far as it goes" in call(*COMPRESS, "in", "out", "-f")[2]
    part = (folder / "out" / "talk.hac").read_bytes()
    assert part != whole
    talk.write_bytes(talk.read_bytes()[:-200])
    assert "it was coded as far as it goes" in call(*COMPRESS, "in", "out")[2]  # one part for another
    assert (folder / "out" / "talk.hac").read_bytes() not in (whole, part)


def test_what_can_be_recovered_takes_no_place_of_the_whole(folder, call):
    (folder / "in").mkdir()
    coded = make_hac(folder / "in" / "talk.hac", samples=31_000)
    good = coded.read_bytes()
    assert call(*DECOMPRESS, "in", "out")[0] == 0
    whole = (folder / "out" / "talk.wav").read_bytes()
    hurt = bytearray(good)
    hurt[44 + 80 + 20] ^= 1
    coded.write_bytes(hurt)
    for _ in range(2):
        code, _, errors = call(*DECOMPRESS, "--recover", "in", "out")
        assert code == 1 and "checksum mismatch; talk.wav of before, which is whole, is kept" in errors
        assert (folder / "out" / "talk.wav").read_bytes() == whole
    assert call(*DECOMPRESS, "--recover", "-f", "in", "out")[0] == 1
    assert (folder / "out" / "talk.wav").read_bytes() != whole
    coded.write_bytes(good)
    assert call(*DECOMPRESS, "in", "out")[0] == 0
    assert (folder / "out" / "talk.wav").read_bytes() == whole


def test_the_last_copy_of_a_recording_is_kept(folder, call):
    first = write_talk(folder / "in" / "rec.wav")
    assert call(*COMPRESS, "in", "out")[0] == 0
    copy = (folder / "out" / "rec.hac").read_bytes()
    first.unlink()
    write_talk(folder / "in" / "rec.flac", 5_000)
    for _ in range(2):
        code, _, errors = call(*COMPRESS, "in", "out")
        assert (
            code == 1 and "rec.flac: its output rec.hac was made of rec.wav, which isn't among these inputs" in errors
        )
        assert (folder / "out" / "rec.hac").read_bytes() == copy
    assert call(*COMPRESS, "in", "out", "--skip-existing")[0] == 0
    assert (folder / "out" / "rec.hac").read_bytes() == copy
    assert call(*COMPRESS, "in", "out", "-f")[0] == 0
    assert (folder / "out" / "rec.hac").read_bytes() != copy
    assert call(*COMPRESS, "in", "out")[0] == 0  # it is this one's now


def test_a_shard_that_somebody_has_changed_is_left_alone(folder, call):
    for name in ("one.wav", "two.wav"):
        write_talk(folder / "in" / name)
    line = (*COMPRESS, "--to", "jsonl", "in", "out")
    assert call(*line)[0] == 0
    shard = folder / "out" / "tokens-000000.jsonl"
    shard.write_text(shard.read_text().replace("one.wav", "eno.wav"))
    write_talk(folder / "in" / "one.wav", 5_000)
    code, _, errors = call(*line)
    assert code == 1 and "tokens-000000.jsonl exists, and isn't this batch's own" in errors


@pytest.mark.parametrize("other", [("--mono",), ("--no-metadata",)])
def test_other_settings_are_no_reason_to_lose_anything(other, folder, call):
    talk = write_talk(folder / "in" / "talk.wav", 8_000, 2)
    first = write_talk(folder / "in" / "rec.wav")
    assert call(*COMPRESS, "in", "out")[0] == 0
    whole, copy = ((folder / "out" / f"{name}.hac").read_bytes() for name in ("talk", "rec"))
    talk.write_bytes(talk.read_bytes()[:-2_000])
    first.unlink()
    write_talk(folder / "in" / "rec.flac", 5_000)
    for _ in range(2):
        errors = call(*COMPRESS, *other, "in", "out")[2]
        assert "which is whole, is kept" in errors and "was made of rec.wav" in errors
        assert (folder / "out" / "talk.hac").read_bytes() == whole
        assert (folder / "out" / "rec.hac").read_bytes() == copy


def test_outputs_of_several_formats_are_told_apart(folder, call):
    (folder / "in").mkdir()
    coded = make_hac(folder / "in" / "talk.hac", samples=31_000)
    for format in ("wav", "flac"):
        assert call(*DECOMPRESS, "--format", format, "in", "out")[0] == 0
    whole = (folder / "out" / "talk.wav").read_bytes()
    assert "1 done before" in call("batch", "decompress", "-n", "in", "out")[2]
    hurt = bytearray(coded.read_bytes())
    hurt[44 + 80 + 20] ^= 1
    coded.write_bytes(hurt)
    for format in ("flac", "wav"):
        errors = call(*DECOMPRESS, "--recover", "--format", format, "in", "out")[2]
        assert f"talk.{format} of before, which is whole, is kept" in errors
    assert (folder / "out" / "talk.wav").read_bytes() == whole


def test_a_part_is_known_as_one_whatever_was_unchanged_since(folder, call):
    talk = write_talk(folder / "in" / "talk.wav", 8_000)
    data = talk.read_bytes()
    for size in (4_000, 4_000, 9_000):
        talk.write_bytes(data[:size])
        errors = call(*COMPRESS, "--hash", "in", "out")[2]
    assert "it was coded as far as it goes" in errors


def test_a_folder_of_others_that_can_not_be_listed_is_told(folder, call, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    write_talk(folder / "talk.wav")
    for name in ("/speech/talk.wav", "/speech/locked/talk.wav"):
        store.pipe(name, (folder / "talk.wav").read_bytes())
    listed = type(store).ls

    def ls(self, path, *arguments, **options):
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return listed(self, path, *arguments, **options)

    monkeypatch.setattr(type(store), "ls", ls)
    code, output, errors = call("batch", "compress", "-n", "memory://speech", "out")
    assert (code, output) == (1, "talk.wav -> talk.hac\n") and "can't be read: permission denied" in errors


@pytest.mark.parametrize("pattern", ["private", "private/", "./private", "private/*", "deep/er/"])
def test_a_folder_may_be_left_out(pattern, folder, call):
    for name in ("talk.wav", "private/talk.wav", "private/more/talk.wav", "deep/er/talk.wav"):
        write_talk(folder / "in" / name)
    output = call("batch", "compress", "-n", "in", "out", "--exclude", pattern)[1]
    left = {"talk.wav"} | (
        {"deep/er/talk.wav"} if "private" in pattern else {"private/talk.wav", "private/more/talk.wav"}
    )
    assert {line.partition(" -> ")[0] for line in output.splitlines()} == left
    assert call(*COMPRESS, "--to", "npz", "in", "shards")[0] == 0
    output = call("batch", "decompress", "-n", "shards", "back", "--exclude", pattern)[1]
    assert {line.rpartition(" -> ")[2] for line in output.splitlines()} == left


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the folder that somebody is in can't be deleted")
def test_in_a_deleted_folder_it_says_so(folder, call, monkeypatch):
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    code, _, errors = call(*COMPRESS, "in", "out")
    assert code == 3 and "was deleted" in errors
