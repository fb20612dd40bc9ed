"""Means, their intervals, and what counts as a change."""

import dataclasses
import json

import numpy as np
import pytest

from hac_cli.errors import InputError
from hac_cli.eval import results
from hac_cli.eval.compare import compare
from hac_cli.eval.results import Journal, Results, Row
from hac_cli.eval.statistics import mean_interval

CLIPS = [f"{number}.wav" for number in range(12)]
RANDOM = np.random.default_rng(5)
PESQ = dict(zip(CLIPS, RANDOM.normal(2, 0.3, len(CLIPS)), strict=True))


def make(change=lambda clip, score: score, file_bytes=1000, codec="HAC v2", **scores):
    """Results of a codec whose PESQ on a clip is ``change(clip, score)``."""
    clips = {clip: {"name": clip, "digest": clip, "seconds": 5.0} for clip in CLIPS}
    run = {"codecs": [{"name": codec}], "metrics": ["pesq_wb"], "clips": clips, "failed_clips": {}}
    rows = [
        Row(codec, clip, clip, 5.0, file_bytes, 900, {"pesq_wb": float(change(clip, score))} | scores)
        for clip, score in PESQ.items()
    ]
    return Results(run, rows)


def verdicts(changes):
    return {change.what: change.verdict for change in changes.means}


def test_interval_is_that_of_theory():
    """Of the mean of many values, the interval is nearly 1.96 standard errors to either side."""
    values = RANDOM.normal(3, 2, 400)
    interval = mean_interval(list(values))
    error = values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    assert mean_interval(list(values)) == interval
    assert mean_interval([]) is None
    assert mean_interval([2.0]).low is None


def test_the_same_is_the_same():
    changes = compare(make(), make())
    assert verdicts(changes) == {"pesq_wb": "same", "bitrate": "same"}
    assert not changes.clips and not changes.regressions and not changes.left_out


def test_a_small_change_in_every_clip_is_seen_and_a_large_one_in_both_ways_is_noise():
    assert verdicts(compare(make(), make(lambda clip, score: score + 0.03)))["pesq_wb"] == "better"
    worse = compare(make(), make(lambda clip, score: score - 0.03))
    assert verdicts(worse)["pesq_wb"] == "worse" and len(worse.regressions) == 1 and not worse.clips
    noise = compare(make(), make(lambda clip, score: score + (0.5 if int(clip[:-4]) % 2 else -0.45)))
    assert verdicts(noise)["pesq_wb"] == "same"
    assert [change.verdict for change in noise.clips] == ["worse", "better"] * 6


def test_a_change_that_nobody_hears_is_none():
    assert verdicts(compare(make(), make(lambda clip, score: score - 0.005)))["pesq_wb"] == "same"


def test_less_is_better_where_it_is():
    changes = compare(make(mel=0.5), make(mel=0.4))
    assert verdicts(changes)["mel"] == "better"
    assert all(change.verdict == "better" for change in changes.clips) and len(changes.clips) == len(CLIPS)


def test_size_counts():
    assert verdicts(compare(make(), make(file_bytes=1004)))["bitrate"] == "same"
    assert verdicts(compare(make(), make(file_bytes=1010)))["bitrate"] == "worse"
    assert verdicts(compare(make(), make(file_bytes=900)))["bitrate"] == "better"
    unreleased = compare(make(), make(file_bytes=None))  # its payload is compared with the payload
    assert verdicts(unreleased)["bitrate"] == "same"


def test_what_fails_only_now_is_a_regression():
    broken = make()
    broken.rows[3] = dataclasses.replace(broken.rows[3], scores={}, error="crashed")
    broken.rows[4] = dataclasses.replace(broken.rows[4], scores={}, refused={"pesq_wb": "no speech"})
    broken.run["failed_clips"]["5.wav"] = "is cut off"
    changes = compare(make(), broken)
    assert [change.reason for change in changes.regressions] == [
        "crashed", "PESQ-WB refuses it: no speech", "is cut off",
    ]  # fmt: skip
    assert not compare(broken, make()).regressions


def test_other_clips_and_codecs_are_left_out_and_named():
    other = make()
    other.rows[0] = dataclasses.replace(other.rows[0], digest="other")
    other.run["clips"]["0.wav"] = {"digest": "other"}
    changes = compare(make(), other)
    assert changes.left_out == ["clip 0.wav"]
    with pytest.raises(InputError):
        compare(make(), make(codec="Opus 6k"))


def test_lines_come_back(tmp_path):
    before = make()
    before.write(tmp_path / "r.json")
    after = results.read(tmp_path / "r.json")
    assert after == before
    mean = json.loads((tmp_path / "r.json").read_text().splitlines()[-1])
    assert mean["kind"] == "mean" and mean["bitrate"] == 1600 and mean["payload_bitrate"] == 1440
    assert mean["scores"]["pesq_wb"]["mean"] == pytest.approx(np.mean(list(PESQ.values())))
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_a_journal_that_was_cut_holds_what_was_complete(tmp_path):
    whole = make()
    journal = Journal(tmp_path / "r.json", Results(whole.run, whole.rows[:2]))
    for row in whole.rows[2:6]:
        journal.add(row)
    text = (tmp_path / "r.json").read_text()
    (tmp_path / "r.json").write_text(text[:-20])
    assert results.read(tmp_path / "r.json") == Results(whole.run, whole.rows[:5])


@pytest.mark.parametrize(
    "text", ["", "RIFF", '{"schema": "hac-info-1"}', "[1]", '{"schema": "hac-bench-1", "kind": "run"}']
)
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError):
        results.read(tmp_path / "r.json")
