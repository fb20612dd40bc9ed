"""What a batch decides to do: which files it takes, what it leaves, what it does again, and what it refuses."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from hac_cli.batch import manifest, plan, run
from hac_cli.batch.job import Item, Job, Outcome, Settings
from hac_cli.batch.manifest import Manifest
from hac_cli.batch.selection import Selection
from hac_cli.batch.storage import open_folder
from hac_cli.errors import InputError, OutputError, UsageError


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "src").mkdir()
    return Settings("compress", str(tmp_path / "src"), str(tmp_path / "dst"), "1.0", "v2", "weights")


@pytest.fixture
def source(tmp_path, settings):
    """A function that makes files of the source folder, each holding its own name."""

    def make(*names: str) -> None:
        for name in names:
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.fsencode(name))

    return make


def planned(settings, selection=None, existing=plan.REFUSE, records=None, shard_bytes=10, workers=1):
    path = manifest.Path(settings.target, manifest.NAME)
    records = manifest.read(path) if records is None else records
    return run.make_plan(settings, selection or Selection(), records, existing, shard_bytes, workers)


def pairs(made) -> dict[str, str]:
    return {item.name: item.target for job in made.plan.jobs() for item in job.items}


def pretend(settings, made, **facts) -> None:
    """Writes outputs and a manifest as if all jobs of a plan had been done."""
    with Manifest(manifest.Path(settings.target, manifest.NAME)) as journal:
        journal.begin(settings)
        jobs = list(made.plan.jobs())
        journal.start(jobs)
        for job in jobs:
            for item in job.items:
                path = manifest.Path(settings.target, item.target)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"made")
            facts = {"output_bytes": 4, "seconds": 1.0, **facts}
            journal.add(Outcome(i.name, i.target, i.member, i.size, i.stamp, **facts) for i in job.items)


STRANGE = ["plain.wav", "new\nline.wav", "tape 🎙.flac", os.fsdecode(b"\xff\xfe.mp3"), "a/b/c.WAV", "dot.ted.ogg"]


def test_the_tree_is_mirrored(settings, source):
    source(*STRANGE, "notes.txt", "a/README", "a/.hac-0-1.part", ".hac-0123abcd.wav")
    made = planned(settings)
    assert pairs(made) == {name: name[: name.rindex(".")] + ".hac" for name in STRANGE}
    assert made.selection.passed_over == {".txt": 1, "": 1}
    assert made.counts.inputs == made.counts.jobs == len(STRANGE)
    assert not made.refused


def test_names_survive_the_manifest(settings, source):
    source(*STRANGE)
    pretend(settings, planned(settings))
    again = planned(settings)
    assert (again.counts.inputs, again.counts.done) == (0, len(STRANGE))


def test_a_manifest_of_a_place_that_gives_no_dates_is_read(settings, source):
    source("one.wav")
    pretend(settings, planned(settings))
    path = manifest.Path(settings.target, manifest.NAME)
    bare = [{key: value for key, value in record.items() if key != "input_stamp"} for record in manifest.read(path)]
    assert pairs(planned(settings, records=bare)) == {"one.wav": "one.hac"}  # it may have changed


def test_patterns(settings, source):
    source("one.wav", "two.wav", "talks/one.wav", "talks/notes.txt", "talks/more/three.flac")
    assert pairs(planned(settings, Selection(include=("one.*",)))).keys() == {"one.wav", "talks/one.wav"}
    assert pairs(planned(settings, Selection(include=("talks/*",), exclude=("*.flac",)))).keys() == {
        "talks/one.wav",
        "talks/notes.txt",
    }
    with pytest.raises(UsageError, match="doesn't name a file inside"):
        planned(settings, Selection(names=["../secret.wav"]))
    made = planned(settings, Selection(names=["one.wav", f"{settings.source}/talks/notes.txt", "none.wav", "one.wav"]))
    assert pairs(made).keys() == {"one.wav", "talks/notes.txt"}
    assert [(outcome.input, outcome.error) for outcome in made.refused] == [("none.wav", "no such file")]


@pytest.mark.parametrize("existing", [plan.REFUSE, plan.SKIP, plan.OVERWRITE])
def test_two_inputs_with_one_output(settings, source, existing, tmp_path):
    """One that has lost nothing before is done, and the rest; it stays the same one when more come."""
    source("talk.wav", "other.wav", "talk.mp3")
    made = planned(settings, existing=existing)
    assert pairs(made) == {"talk.wav": "talk.hac", "other.wav": "other.hac"}
    reason = "would become talk.hac, as talk.wav does; rename one, or leave it out with --exclude"
    assert [(outcome.input, outcome.error, outcome.exit_code) for outcome in made.refused] == [("talk.mp3", reason, 2)]
    pretend(settings, made)
    source("talk.flac")
    again = planned(settings, existing=existing)
    assert again.counts.done == 2 and not pairs(again)
    assert sorted(outcome.input for outcome in again.refused) == ["talk.flac", "talk.mp3"]
    (tmp_path / "dst" / "talk.hac").unlink()
    assert pairs(planned(settings, existing=existing)).keys() == {"talk.wav"}
    (tmp_path / "src" / "talk.wav").unlink()
    last = planned(settings, existing=existing)
    assert pairs(last).keys() == {"talk.flac"}
    pretend(settings, last)
    source("talk.wav")  # which is as it was, but what is there now was made of the other
    assert not pairs(planned(settings, existing=existing))


def test_two_recordings_in_shards_with_one_output(settings, tmp_path, monkeypatch):
    """The messages name the recordings, which --exclude is for as well."""
    members = {"tokens-0.npz": ["a/one.wav", "two.wav"], "tokens-1.npz": ["a/one.flac"]}
    monkeypatch.setattr("hac_cli.batch.tokens.paths", lambda path: members[manifest.Path(path).name])
    for name in members:
        (tmp_path / "src" / name).touch()
    settings = replace(settings, command="decompress")
    made = planned(settings)
    outputs = {item.member: item.target for job in made.plan.jobs() for item in job.items}
    assert outputs == {"a/one.wav": "a/one.wav", "two.wav": "two.wav"}
    (refused,) = made.refused
    assert refused.member == "a/one.flac" and "would become a/one.wav, as a/one.wav does; to get" in refused.error
    made = planned(settings, Selection(exclude=("*/one.wav",)))
    outputs = {item.member: item.target for job in made.plan.jobs() for item in job.items}
    assert outputs == {"a/one.flac": "a/one.wav", "two.wav": "two.wav"} and not made.refused


@pytest.mark.parametrize("name", ["../evil.wav", "nul\0.wav", "lone\ud800.wav"])
def test_a_recording_in_a_shard_that_can_be_no_file_of_the_folder(settings, tmp_path, monkeypatch, name):
    """Is refused with its shard's name; the others are decoded."""
    monkeypatch.setattr("hac_cli.batch.tokens.paths", lambda path: [name, "good.wav"])
    (tmp_path / "src" / "tokens-0.npz").touch()
    made = planned(replace(settings, command="decompress"))
    assert [item.member for job in made.plan.jobs() for item in job.items] == ["good.wav"]
    (refused,) = made.refused
    assert refused.input == "tokens-0.npz" and f"{name!r} doesn't name a file inside" in refused.error


def test_two_recordings_of_one_name_in_a_shard(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("hac_cli.batch.tokens.paths", lambda path: ["a.wav", "b.wav", "a.wav"])
    (tmp_path / "src" / "tokens-0.npz").touch()
    made = planned(replace(settings, command="decompress"))
    assert [item.member for job in made.plan.jobs() for item in job.items] == ["a.wav", "b.wav"]
    (refused,) = made.refused
    assert (refused.input, refused.exit_code) == ("tokens-0.npz", 3)
    assert refused.error == "has 2 recordings of the name a.wav; only the first is decoded"


def test_lines_of_a_manifest_that_make_no_sense_are_passed_over(settings, source):
    source("one.wav", "two.wav")
    pretend(settings, planned(settings))
    with manifest.Path(settings.target, manifest.NAME).open("a") as file:
        file.write("[" * 100_000 + "\n")
        for record in ({"event": "start", "outputs": [1]}, {"event": "start", "outputs": "one.hac"},
                       {"event": "done", "input": 5, "output": "one.hac"}, {"event": "done", "input": "one.wav",
                        "output": "one.hac", "input_bytes": [7]}):  # fmt: skip
            file.write(json.dumps(record) + "\n")
    assert not pairs(planned(settings))


def test_links(settings, source, tmp_path):
    """Files and folders that links lead to are taken; a folder that it stands in is not gone round for ever."""
    source("a/one.wav")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "two.wav").touch()
    (tmp_path / "src" / "a" / "up").symlink_to("..")
    (tmp_path / "src" / "more").symlink_to("../elsewhere")
    (tmp_path / "src" / "self.wav").symlink_to("self.wav")
    made = planned(settings)
    assert pairs(made).keys() == {"a/one.wav", "more/two.wav", "self.wav"}
    assert [(outcome.input, outcome.exit_code) for outcome in made.refused] == [("a/up", 3)]
    assert "a link to a folder that it stands in" in str(made.refused[0].error)


def test_target_inside_source(settings, source):
    inside = replace(settings, target=f"{settings.source}/out", command="decompress")
    source("one.hac", "out/two.hac")
    assert pairs(planned(inside)) == {"one.hac": "one.wav"}
    beside = replace(inside, target=settings.source)
    assert pairs(planned(beside)) == {"one.hac": "one.wav", "out/two.hac": "out/two.wav"}
    with pytest.raises(InputError, match="is no folder"):
        open_folder(f"{settings.source}/one.hac").check()


def test_the_largest_first(settings, source, tmp_path):
    source("short.wav", "long.wav", "middle.wav")
    for name, size in (("short", 1), ("long", 1000), ("middle", 500)):
        (tmp_path / "src" / f"{name}.wav").write_bytes(bytes(size))
    assert [job.size for job in planned(settings).plan.jobs()] == [1000, 500, 1]


def test_what_is_done_again(settings, source, tmp_path):
    names = [f"{number}.wav" for number in range(7)]
    source(*names)
    pretend(settings, planned(settings))
    assert planned(settings).counts.done == 7
    src, dst = tmp_path / "src", tmp_path / "dst"
    (src / "0.wav").write_bytes(b"longer than before")  # another size
    os.utime(src / "1.wav", (1, 1))  # another time
    (dst / "2.hac").unlink()
    (dst / "3.hac").write_bytes(b"")  # as a power cut may leave it
    with Manifest(dst / manifest.NAME) as journal:
        journal.begin(settings)
        journal.start([Job((Item("7.wav", "7.hac", 5, ""),), 5)])
        journal.add([Outcome.failed(Item("4.wav", "4.hac", 5, ""), "no audio", 3)])
    source("7.wav", "8.wav")
    (dst / "7.hac").write_bytes(b"half")  # begun, and not ended
    (dst / "8.hac").write_bytes(b"precious")  # somebody else's
    made = planned(settings)
    assert pairs(made).keys() == {"0.wav", "1.wav", "2.wav", "3.wav", "4.wav", "7.wav"}
    assert (made.counts.done, made.counts.skipped) == (2, 0)
    assert [(outcome.input, outcome.exit_code) for outcome in made.refused] == [("8.wav", 4)]
    assert made.plan.history.interrupted() == [("7.hac", False)]
    assert planned(settings, existing=plan.SKIP).counts.skipped == 1
    assert "8.wav" in pairs(planned(settings, existing=plan.OVERWRITE))
    assert planned(replace(settings, mono=True)).counts.done == 0
    assert len(pairs(planned(replace(settings, mono=True)))) == 8  # all but what isn't ours


def test_nobody_elses_work_is_overwritten(settings, source, tmp_path):
    """Neither what was made of another folder's file of that name, nor what was changed after it was made."""
    source("one.wav", "two.wav")
    pretend(settings, planned(settings))
    (tmp_path / "dst" / "two.hac").write_bytes(b"edited")
    made = planned(settings)
    assert (made.counts.done, [outcome.input for outcome in made.refused]) == (1, ["two.wav"])
    assert str(made.refused[0].error).startswith("its output two.hac exists, and isn't this batch's own")
    assert planned(settings, existing=plan.SKIP).counts.skipped == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "one.wav").write_bytes(b"of Tuesday")
    other = replace(settings, source=str(tmp_path / "other"))
    assert [outcome.input for outcome in planned(other).refused] == ["one.wav"]
    pretend(other, planned(other, existing=plan.OVERWRITE))
    assert planned(other).counts.done == 1
    assert {outcome.input for outcome in planned(settings).refused} == {"one.wav", "two.wav"}
    with pytest.raises(UsageError, match="another source"):
        planned(replace(other, shard_format="npz"))


def test_what_may_not_be_overwritten(settings, source, tmp_path):
    """What was not there when the batch was planned, unless all may be."""
    source("own.wav", "new.wav")
    pretend(settings, planned(settings, Selection(include=("own.wav",))))
    for existing, new in ((plan.REFUSE, True), (plan.SKIP, True), (plan.OVERWRITE, False)):
        source("own.wav")
        os.utime(tmp_path / "src" / "own.wav", (1, 1))
        made = planned(settings, existing=existing)
        items = {item.name: item.free for job in made.plan.jobs() for item in job.items}
        assert items == {"own.wav": False, "new.wav": new}


def test_inputs_by_content(settings, source, tmp_path):
    """The workers are to compare digests, whatever size and time say."""
    hashed = replace(settings, hash_inputs=True)
    source("one.wav", "two.wav")
    pretend(hashed, planned(hashed), input_digest="abc")
    (tmp_path / "dst" / "two.hac").unlink()
    digests = {item.name: item.digest for job in planned(hashed).plan.jobs() for item in job.items}
    assert digests == {"one.wav": "abc", "two.wav": None}


@pytest.mark.parametrize("torn", [1, 5, 30])
def test_a_torn_manifest(settings, source, tmp_path, torn):
    source("one.wav", "two.wav")
    pretend(settings, planned(settings))
    path = tmp_path / "dst" / manifest.NAME
    path.write_bytes(path.read_bytes()[:-torn])
    done = 1 if torn > 1 else 2
    assert planned(settings).counts.done == done
    pretend(settings, planned(settings))  # what is appended doesn't suffer from the torn line
    assert planned(settings).counts.done == 2
    path.write_bytes(b"\x00\xff garbage\n[1]\n" + path.read_bytes())
    assert planned(settings).counts.done == 2


def test_one_batch_at_a_time(tmp_path):
    with Manifest(tmp_path / "m.jsonl"), pytest.raises(UsageError, match="another batch is at work"):
        Manifest(tmp_path / "m.jsonl")
    Manifest(tmp_path / "m.jsonl").close()


def test_a_manifest_on_a_full_disk(settings):
    """Closing it would write again, and fail again."""
    with pytest.raises(OutputError, match="the disk is full"), Manifest(manifest.Path("/dev/full")) as journal:
        journal.begin(settings)
    journal = Manifest(manifest.Path("/dev/full"))
    journal._file.write(b"not yet written")
    with pytest.raises(OutputError, match="the disk is full"):
        journal.close()


def test_manifest_lines_are_json(settings, source, tmp_path):
    source("one.wav")
    pretend(settings, planned(settings), digest="d", input_digest="i", took=0.5, bitrate=1.0)
    run_line, start, done = map(json.loads, (tmp_path / "dst" / manifest.NAME).read_text().splitlines())
    assert (run_line["schema"], run_line["event"], run_line["version"]) == ("hac-batch-1", "run", "1.0")
    assert start == {"event": "start", "outputs": ["one.hac"]}
    assert done["event"] == "done" and "error" not in done
    assert {"input", "output", "input_bytes", "output_bytes", "seconds", "bitrate", "digest", "took"} <= done.keys()


def test_patterns_take_no_outputs_for_inputs(settings, source):
    source("talks/a.wav", "talks/a.hac", "talks/b.flac")
    assert pairs(planned(settings, Selection(include=("talks/*",)))).keys() == {"talks/a.wav", "talks/b.flac"}
    decoded = replace(settings, command="decompress", extension=".wav")
    assert pairs(planned(decoded, Selection(include=("talks/*",)))).keys() == {"talks/a.hac"}


def test_a_folder_that_is_left_out_is_not_looked_into(settings, source, tmp_path):
    source("a.wav", "loop/b.wav")
    (tmp_path / "src" / "loop" / "again").symlink_to(tmp_path / "src")
    assert planned(settings).refused
    made = planned(settings, Selection(exclude=("loop",)))
    assert not made.refused and pairs(made).keys() == {"a.wav"}


# -- shards -----------------------------------------------------------------------------------------------------


def shards(made) -> dict[str, set[str]]:
    return {job.items[0].target: {item.name for item in job.items} for job in made.plan.jobs()}


def test_shards(settings, source, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SHARDS_PER_WORKER", 1)
    settings = replace(settings, shard_format="npz")
    source("a.wav", "b.wav", "c.wav", "d.wav", "e.wav")  # five bytes each
    made = planned(settings, shard_bytes=10)
    first = {"tokens-000000.npz": {"a.wav", "b.wav"}, "tokens-000001.npz": {"c.wav", "d.wav"},
             "tokens-000002.npz": {"e.wav"}}  # fmt: skip
    assert shards(made) == first
    assert len(shards(planned(settings, shard_bytes=1000, workers=5))) == 1  # it isn't worth more
    with monkeypatch.context() as patch:
        patch.setattr(plan, "SMALLEST_SHARD", 1)
        assert len(shards(planned(settings, shard_bytes=1000, workers=5))) == 5  # so that every worker has one
    pretend(settings, made)
    assert planned(settings).counts.done == 5

    source("aa.wav")  # what is new goes to a new shard, what has changed to its old one, alone
    (tmp_path / "src" / "c.wav").write_bytes(b"changed")
    assert shards(planned(settings)) == {"tokens-000001.npz": {"c.wav"}, "tokens-000003.npz": {"aa.wav"}}
    (tmp_path / "dst" / "tokens-000003.npz").touch()
    with pytest.raises(UsageError, match=r"holds tokens-000003.npz, of which the manifest knows nothing"):
        planned(settings)
    (tmp_path / "dst" / "tokens-000003.npz").unlink()
    (tmp_path / "dst" / "tokens-000000.npz").unlink()
    assert shards(planned(settings))["tokens-000000.npz"] == {"a.wav", "b.wav"}
    with pytest.raises(UsageError, match="other settings"):
        planned(replace(settings, mono=True))
    with pytest.raises(UsageError, match="other settings"):
        planned(replace(settings, shard_format=None))


def test_a_manifest_torn_between_the_recordings_of_a_shard(settings, source, tmp_path, monkeypatch):
    """It has all of them, or none: those of which nothing is known would come twice."""
    monkeypatch.setattr(run, "SHARDS_PER_WORKER", 1)
    settings = replace(settings, shard_format="npz")
    source("a.wav", "b.wav", "c.wav", "d.wav")
    pretend(settings, planned(settings, shard_bytes=10))
    path = tmp_path / "dst" / manifest.NAME
    *kept, told, torn = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*kept, told]))
    made = planned(settings, shard_bytes=10)
    told, torn = json.loads(told), json.loads(torn)
    assert made.plan.history.interrupted() == [(torn["output"], False)] and made.counts.done == 2
    assert shards(made) == {torn["output"]: {told["input"]}, "tokens-000002.npz": {torn["input"]}}


def test_shards_whose_manifest_is_gone(settings, source, tmp_path):
    settings = replace(settings, shard_format="npz")
    source("a.wav")
    pretend(settings, planned(settings))
    (tmp_path / "dst" / manifest.NAME).unlink()
    with pytest.raises(UsageError, match=r"holds tokens-000000.npz, of which the manifest knows nothing"):
        planned(settings)
