"""``info``, ``verify`` and ``models``: what they say, as text and as JSON."""

from __future__ import annotations

import json
import os

from cli_tools import make_hac

from hac_cli.model import released

MODEL = released.find(released.DEFAULT_MODEL)


def test_info(call, folder):
    """A file that was written to a pipe says its length only in the end; it is shown all the same."""
    make_hac(folder / "file.hac")
    make_hac(folder / "pipe.hac", total_known=False, weights_digest=b"whatever")
    code, text, errors = call("info", "file.hac", "pipe.hac")
    assert (code, errors) == (0, "")
    first, second = text.split("pipe.hac\n")
    assert f"{MODEL.name}, weights {MODEL.short_digest.hex()} (installed)" in first
    assert "24000 Hz, 1 channel, 1.333 s (32000 samples)" in first
    assert "100 frames in 4 blocks of up to 30" in first
    assert "kbit/s (payload 1.374 kbit/s)" in first
    assert "(not installed)" in second and "(32000 samples)" in second


def test_info_json(call, folder):
    make_hac(folder / "file.hac", sample_rate=48_000)
    code, text, _ = call("info", "--json", "file.hac", "none.hac")
    assert code == 3
    facts, missing = map(json.loads, text.splitlines())
    size = (folder / "file.hac").stat().st_size
    assert facts == {
        "schema": "hac-info-1", "file": "file.hac", "ok": True, "format_version": "1.6",
        "model": MODEL.name, "model_id": MODEL.model_id, "weights_digest": MODEL.short_digest.hex(),
        "weights_installed": True, "sample_rate": 48_000, "channels": 1, "samples": 32_000, "seconds": 2 / 3,
        "samples_announced": 32_000,
        "frames": 100, "blocks": 4, "frames_per_block": 30, "bits_per_token": 18, "payload_coding": "raw",
        "metadata": {}, "file_bytes": size,
        "payload_bytes": 229, "bitrate": 12 * size, "payload_bitrate": 12 * 229,
    }  # fmt: skip
    assert missing == {
        "schema": "hac-info-1", "file": "none.hac", "ok": False, "error": "no such file; check the name",
        "exit_code": 3,
    }  # fmt: skip


def test_info_of_a_damaged_file(call, folder):
    make_hac(folder / "file.hac")
    (folder / "cut.hac").write_bytes((folder / "file.hac").read_bytes()[:-1])
    code, text, errors = call("info", "cut.hac")
    assert code == 5
    assert "1 channel, length unknown, 1.333 s announced\n" in text
    assert "frames unknown, 4 good blocks of up to 30" in text
    assert errors.startswith("hac: cut.hac: is damaged")
    flipped = bytearray((folder / "file.hac").read_bytes())
    flipped[80] ^= 1  # in the first block's payload
    (folder / "flipped.hac").write_bytes(flipped)
    code, text, _ = call("info", "flipped.hac")
    assert code == 5 and "100 frames, 3 good blocks of up to 30" in text
    assert "kbit/s\n" in text and "payload" not in text  # what was lost isn't counted


def test_info_of_a_stream_that_broke_off(call, folder):
    (folder / "cut.hac").write_bytes(make_hac(folder / "file.hac", total_known=False).read_bytes()[:-1])
    assert "1 channel, length unknown\n" in call("info", "cut.hac")[1]


def test_folders(call, folder):
    """Stand for the files in them and below, and a last line tells how many there were."""
    for name in ("archive/b/two.hac", "archive/one.HAC"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_hac(folder / name)
    (folder / "archive/b/notes.txt").write_text("no recording")
    (folder / "empty").mkdir()
    whole = "archive/b/two.hac: OK, 1.33 s in 4 blocks\narchive/one.HAC: OK, 1.33 s in 4 blocks\n"
    assert call("verify", "archive") == (0, whole, "2 files, none of them damaged or not to be read\n")
    assert call("verify", "-q", "archive/") == (0, "", "")
    (folder / "archive/one.HAC").write_bytes(b"HAC")
    code, text, errors = call("verify", "archive", "empty")
    assert (code, text) == (1, whole.splitlines()[0] + "\n")
    assert "hac: archive/one.HAC: " in errors and "hac: empty: is a folder without .hac files" in errors
    assert errors.endswith("3 files, 2 of them damaged or not to be read\n")
    code, text, _ = call("info", "--json", "archive")
    assert [json.loads(line)["file"] for line in text.splitlines()] == ["archive/b/two.hac", "archive/one.HAC"]


def test_verify(call, folder):
    whole = make_hac(folder / "whole.hac").read_bytes()
    damaged = bytearray(whole)
    damaged[44 + 80 + 20] ^= 1  # in the second block
    (folder / "flip.hac").write_bytes(damaged)
    (folder / "cut.hac").write_bytes(whole[:200])
    (folder / "empty.hac").touch()

    assert call("verify", "whole.hac") == (0, "whole.hac: OK, 1.33 s in 4 blocks\n", "")
    assert call("verify", "-q", "whole.hac") == (0, "", "")
    code, text, errors = call("verify", "flip.hac", "whole.hac", "cut.hac", "empty.hac")
    assert code == 5
    assert text.splitlines() == [
        "flip.hac: DAMAGED, 3 good blocks",
        "  block 1 (0.36 s to 0.76 s): checksum mismatch",
        "whole.hac: OK, 1.33 s in 4 blocks",
        "cut.hac: DAMAGED, 1 good block",
        "  from block 1 (0.36 s) on: truncated; no end block",
    ]
    advice = "is damaged; copy it again, or decompress it with --recover"
    problems = [f"flip.hac: {advice}", f"cut.hac: {advice}", "empty.hac: not a .hac file: it is empty"]
    assert errors.splitlines() == [f"hac: {problem}" for problem in problems]
    assert call("verify", "flip.hac", "none.hac")[0] == 1  # failures of two kinds


def test_verify_where_only_the_end_block_is_missing(call, folder):
    """After a short block, or as many frames as were announced, nothing else can be."""
    short, full = (
        make_hac(folder / "a.hac", total_known=False).read_bytes(),
        make_hac(folder / "b.hac", 92).read_bytes(),
    )
    open_end = make_hac(folder / "c.hac", 90, total_known=False).read_bytes()
    (folder / "short.hac").write_bytes(short[:-34])
    (folder / "full.hac").write_bytes(full[:-20])
    (folder / "open.hac").write_bytes(open_end[:-34])
    lines = call("verify", "short.hac", "full.hac", "open.hac")[1].splitlines()
    assert lines[1] == "  at 1.29 s, nothing is lost there: truncated; the end block is missing"
    assert lines[3] == "  at 1.19 s, nothing is lost there: truncated; the end block is missing"
    assert lines[5] == "  from block 3 (1.16 s) on: truncated; no end block"


def test_verify_json(call, folder):
    whole = make_hac(folder / "whole.hac").read_bytes()
    (folder / "cut.hac").write_bytes(whole[:200])
    (folder / "no.hac").write_text("something else")
    code, text, _ = call("verify", "--json", "whole.hac", "cut.hac", "no.hac")
    assert code == 5
    good, cut, other = map(json.loads, text.splitlines())
    common = {"schema": "hac-verify-1", "ok": False}
    assert good == common | {
        "file": "whole.hac",
        "ok": True,
        "seconds": 4 / 3,
        "blocks": 4,
        "tokens_checked": True,
        "damages": [],
    }
    place = {"first_block": 1, "last_block": None, "start_seconds": 0.36, "end_seconds": None}
    damages = [place | {"reason": "truncated; no end block"}]
    unknown = {"seconds": None, "blocks": 1, "tokens_checked": False}
    assert cut == common | unknown | {"file": "cut.hac", "damages": damages}
    assert other == common | {"file": "no.hac", "error": "not a .hac file; hac compress makes one", "exit_code": 5}


def test_verify_notices_every_flipped_bit(call, folder):
    """All 8 bits of all bytes of the smallest file that has a header, a block and an end."""
    whole = make_hac(folder / "small.hac", frames=3).read_bytes()
    for position in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        (folder / "flip.hac").write_bytes(damaged)
        assert call("verify", "-q", "flip.hac")[0] == 5, position


def test_models(call):
    code, text, _ = call("models", "--json")
    models = [json.loads(line) for line in text.splitlines()]
    assert code == 0
    assert [model["name"] for model in models if model["default"]] == [MODEL.name]
    for facts in models:
        model = released.find(facts["name"])
        assert facts["schema"] == "hac-models-1"
        assert facts["digest"] == model.digest
        assert facts["file_bytes"] == model.path.stat().st_size <= 8e6
        assert facts["parameters"] <= 4_000_000
        assert facts["tokens_per_second"] * facts["bits_per_token"] == facts["bitrate"]
    code, text, _ = call("models", MODEL.name)
    assert code == 0
    assert text.startswith(f"* {MODEL.name}: {MODEL.description}\n")
    assert f"{MODEL.parameters:,} parameters" in text and MODEL.card.strip() in text


def test_a_folder_is_walked_as_by_a_batch(call, folder):
    """Links to folders are followed, a pipe isn't waited for."""
    (folder / "archive").mkdir()
    (folder / "disk").mkdir()
    make_hac(folder / "archive" / "good.hac")
    (folder / "disk" / "bad.hac").write_bytes(make_hac(folder / "cut.hac").read_bytes()[:200])
    (folder / "archive" / "more").symlink_to("../disk")
    os.mkfifo(folder / "archive" / "pipe.hac")
    code, out, errors = call("verify", "archive")
    assert code == 1 and "archive/good.hac: OK" in out and "archive/more/bad.hac: DAMAGED" in out
    assert "archive/pipe.hac: is no regular file" in errors and "3 files, 2 of them damaged" in errors
