"""What ``hac`` refuses before it does anything: the exit code, one line that says why, and nothing is touched."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import zlib

import pytest
from cli_tools import make_hac, names


@pytest.fixture
def workplace(folder, talk):
    """A folder with something of everything, which nothing may change."""
    (folder / "talk.wav").write_bytes(talk.read_bytes())
    (folder / "link.wav").symlink_to("talk.wav")
    os.link("talk.wav", "hard.wav")
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("This is no audio, whatever the name says.\n" * 100)
    (folder / "there.hac").write_bytes(b"precious")
    (folder / "sub").mkdir()
    whole = make_hac(folder / "whole.hac").read_bytes()
    (folder / "short.hac").write_bytes(whole[:30])
    newer = whole[:4] + b"\x20" + whole[5:40]
    (folder / "newer.hac").write_bytes(newer + zlib.crc32(newer).to_bytes(4, "little") + whole[44:])
    (folder / "flipped.hac").write_bytes(newer + whole[40:])
    (folder / "flipped.hac").write_bytes(whole[:30] + b"!" + whole[31:])
    make_hac(folder / "unknown.hac", model_id=999)
    make_hac(folder / "nameless.hac", model_id=0)
    make_hac(folder / "other.hac", weights_digest=b"whatever")
    os.mkfifo("pipe")
    before = {name: (folder / name).lstat() for name in names(folder)}
    yield folder
    assert {name: (folder / name).lstat() for name in names(folder)}.keys() == before.keys()
    for name, status in before.items():
        assert (folder / name).lstat()[6:9:2] == status[6:9:2], name  # size and time of last change


REFUSALS = [
    ("", 2, "Usage: hac"),
    ("nothing", 2, "hac: No such command 'nothing'"),
    ("compress", 2, "hac: Missing argument 'IN'; see hac compress --help"),
    ("compress talk.wav new.hac more", 2, "hac: Got unexpected extra argument (more)"),
    ("compress --block", 2, "hac: Option '--block' requires an argument; see hac compress --help"),
    (
        "batch compress sub new --include",
        2,
        "hac: Option '--include' requires an argument; see hac batch compress --help",
    ),
    ("batch compress sub new -0", 2, "hac: -0 is for names of --files-from"),
    ("batch compress sub new --shard-size 5", 2, "hac: --shard-size is for shards; say --to npz"),
    ("compress --raw 24000 talk.wav new.hac", 2, "hac: '24000' is no raw format"),
    ("compress -f talk.wav hard.wav", 2, "hac: hard.wav: is the input as well"),
    ("compress -f talk.wav empty.wav", 2, "hac: empty.wav: is a name for a recording"),
    ("decompress -f whole.hac other.hac", 2, "hac: other.hac: is no name for a recording; give several"),
    ("decompress --raw 24000:1:s16 -f whole.hac other.hac", 2, "hac: other.hac: is no name for a recording"),
    ("decompress --raw 24000:1:s16 whole.hac new.flac", 2, "hac: new.flac: --raw writes samples without the header"),
    ("cut -f whole.hac empty.wav", 2, "hac: empty.wav: is a name for a recording"),
    ("cat -f whole.hac empty.wav", 2, "hac: empty.wav: is a name for a recording"),
    ("compress --block 60 talk.wav new.hac", 2, "hac: --block is at most 54s"),
    ("compress --block 0 talk.wav new.hac", 2, "hac: --block is above 0, such as 40ms"),
    ("compress talk.wav talk.wav", 2, "hac: talk.wav: is the input as well"),
    ("compress -f talk.wav talk.wav", 2, "hac: talk.wav: is the input as well"),
    ("compress -f talk.wav ./sub/../talk.wav", 2, "hac: ./sub/../talk.wav: is the input as well"),
    ("compress -f talk.wav link.wav", 2, "hac: link.wav: is the input as well"),
    ("compress -f link.wav talk.wav", 2, "hac: talk.wav: is the input as well"),
    ("compress -f hard.wav talk.wav", 2, "hac: talk.wav: is the input as well"),
    ("compress -f whole.hac", 2, "hac: whole.hac: is the input as well"),
    ("compress pipe", 2, "hac: pipe: is no regular file"),
    ("compress none.wav", 3, "hac: none.wav: no such file"),
    ("compress sub new.hac", 3, "hac: sub: is a directory"),
    ("compress talk.wav hard.wav", 2, "hac: hard.wav: is the input as well"),
    ("compress talk.wav text.wav", 2, "hac: text.wav: is a name for a recording"),
    ("compress whole.hac new.hac", 3, "hac: whole.hac: is a .hac file already; hac decompress makes a recording of it"),
    ("compress empty.wav", 3, "hac: empty.wav: has no content"),
    ("compress text.wav", 3, "hac: text.wav: is not audio"),
    ("compress talk.wav there.hac", 4, "hac: there.hac: exists; overwrite it with -f"),
    ("compress talk.wav sub", 4, "hac: sub: is a directory"),
    ("compress talk.wav new/", 4, "hac: new/: is a directory"),
    ("compress talk.wav none/new.hac", 4, "hac: none/new.hac: its folder does not exist"),
    ("compress talk.wav socket", 4, "hac: socket: is neither a file nor a pipe"),
    ("compress --model v99 talk.wav new.hac", 6, "hac: there is no model 'v99'"),
    ("decompress whole.hac talk.wav", 4, "hac: talk.wav: exists"),
    ("decompress none.hac", 3, "hac: none.hac: no such file"),
    ("decompress sub new.wav", 3, "hac: sub: is a directory"),
    ("decompress talk.wav new.wav", 5, "hac: talk.wav: not a .hac file"),
    ("decompress empty.wav new.wav", 5, "hac: empty.wav: not a .hac file"),
    ("decompress short.hac", 5, "hac: short.hac: truncated"),
    ("decompress newer.hac", 5, "hac: newer.hac: format version 2 is not known"),
    ("decompress flipped.hac", 5, "hac: flipped.hac: the header is damaged: checksum mismatch"),
    ("decompress flipped.hac", 5, "hac: flipped.hac: the header is damaged"),
    ("decompress unknown.hac", 6, "hac: unknown.hac: was made with model number 999"),
    ("decompress nameless.hac", 6, "hac: nameless.hac: was made with weights that have no released name"),
    ("decompress other.hac", 6, "hac: other.hac: was made with other weights"),
    ("bench . --weights whole.hac --only hac", 6, "hac: whole.hac: is not a weights file of HAC"),
    ("models v99", 6, "hac: there is no model 'v99'"),
]


@pytest.mark.parametrize(("line", "code", "message"), REFUSALS)
def test_refusals(line, code, message, call, workplace):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        result = call(*line.split())
        (workplace / "socket").unlink()
    assert (result[0], result[1]) == (code, "")
    assert result[2].startswith(message)
    assert result[2].count("\n") == 1 or not line


def test_debug_shows_a_traceback(call, folder):
    for line in (["--debug", "verify", "none.hac"], ["verify", "none.hac", "--debug"]):
        code, _, errors = call(*line)
        assert code == 3
        assert errors.startswith("Traceback") and "hac: none.hac: no such file" in errors


def test_a_fault_says_what_to_do(call, folder, monkeypatch):
    def fail(source, predictor):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("hac_cli.container.verify", fail)
    make_hac(folder / "some.hac")
    code, _, errors = call("verify", "some.hac")
    assert code == 1
    assert errors.startswith("hac: unexpected ZeroDivisionError: two lines;") and errors.count("\n") == 1
    assert "--debug" in errors
    assert "Traceback" in call("--debug", "verify", "some.hac")[2]


@contextlib.contextmanager
def somebody(folder):
    """Root may read and write everything: whoever else has the folder doesn't."""
    user = os.geteuid()
    if user == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, 65534, -1)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_permissions(folder, talk, call):
    (folder / "talk.wav").write_bytes(talk.read_bytes())
    for name, mode in (("secret.wav", 0), ("hidden.hac", 0), ("written.hac", stat.S_IWUSR)):
        (folder / name).touch(mode)
    (folder / "locked").mkdir(stat.S_IRUSR | stat.S_IXUSR)
    with somebody(folder):
        for command, name, *more in (("compress", "secret.wav", "-"), ("decompress", "hidden.hac", "-"),
                                     ("info", "hidden.hac")):  # fmt: skip
            code, _, errors = call(command, name, *more)
            assert code == 3 and f"hac: {name}: can't be read: permission denied" in errors
        assert call("compress", "talk.wav", "locked/new.hac")[0] == 4
        code, _, errors = call("compress", "talk.wav", "written.hac")
        assert code == 4 and "exists" in errors
