"""What only a process of its own can show: what it loads, its streams, and the way it ends."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_tools import HAC, make_hac, names

from hac_cli.audio.pcm import S16
from hac_cli.audio.wav import wav_header
from hac_cli.container import verify
from hac_cli.container.blocks import BlockHeader

NO_TORCH = """
import sys
from hac_cli.cli.app import run
assert run(["--help"]) == run(["--version"]) == run(["compress", "--help"]) == 0
heavy = {"numpy", "torch", "soundfile", "soxr", "tqdm", "asyncio"} & set(sys.modules)
assert not heavy, heavy
import hac_cli
assert run(["models"]) == run(["info", sys.argv[1]]) == run(["verify", sys.argv[1]]) == 0
heavy = {"torch", "soundfile", "soxr", "tqdm"} & set(sys.modules)
assert not heavy, heavy
"""


def test_nothing_heavy_is_loaded_without_need(folder):
    make_hac(folder / "some.hac")
    result = subprocess.run([sys.executable, "-c", NO_TORCH, "some.hac"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_entry_points(hac):
    version = hac("--version").stdout
    assert version.startswith("hac ") and version.count("\n") == 1
    module = subprocess.run([sys.executable, "-m", "hac_cli", "--version"], capture_output=True, text=True)
    assert (module.returncode, module.stdout) == (0, version)


def test_completion(hac):
    assert "_HAC_COMPLETE=bash_complete" in hac(env={**os.environ, "_HAC_COMPLETE": "bash_source"}).stdout
    asked = {"_HAC_COMPLETE": "bash_complete", "COMP_WORDS": "hac comp", "COMP_CWORD": "1"}
    assert hac(env=os.environ | asked).stdout.strip() == "plain,compress"
    for line, place in (("hac compress --model v2", 3), ("hac models v2", 2)):
        asked = {"_HAC_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(place)}
        assert hac(env=os.environ | asked).stdout.split() == ["plain,v2", "plain,v2-150"]


@pytest.mark.parametrize("arguments", [["compress", "talk.wav", "-"], ["decompress", "-", "-"]])
def test_no_binary_data_to_a_terminal(arguments, hac, talk):
    reader, terminal = pty.openpty()
    result = hac(*arguments, cwd=talk.parent, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE,
                 capture_output=False)  # fmt: skip
    assert result.returncode == 2
    assert "is a terminal" in result.stderr
    os.close(terminal)
    os.close(reader)


def test_streams_that_fail(hac, folder):
    with Path("/dev/full").open("w") as full:
        for line in (["models"], ["--help"], ["--version"], ["batch", "compress", "--help"]):
            result = hac(*line, stdout=full, stderr=subprocess.PIPE, capture_output=False)
            assert (result.returncode, result.stderr.count("\n")) == (4, 1)
            assert result.stderr.startswith("hac: standard output: the disk is full")
        asked = os.environ | {"_HAC_COMPLETE": "bash_source"}
        result = hac(env=asked, stdout=full, stderr=subprocess.PIPE, capture_output=False)
        assert (result.returncode, result.stderr.count("\n")) == (4, 1)
        # errors that nobody can read keep their exit code
        assert hac("verify", "none.hac", stderr=full, stdout=full, capture_output=False).returncode == 3


def test_streams_that_are_closed(talk, folder):
    """What libraries print must not go into a file that has taken the place of standard error."""
    samples, rate = soundfile.read(talk)
    soundfile.write(folder / "talk.mp3", np.tile(samples, 5), rate)
    data = bytearray((folder / "talk.mp3").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 900] = bytes(range(90)) * 10  # of which libmpg123 complains on stderr
    (folder / "talk.mp3").write_bytes(data)
    subprocess.run(["bash", "-c", f"'{HAC}' compress talk.mp3 talk.hac >&- 2>&-"], check=False, timeout=60)
    with (folder / "talk.hac").open("rb") as file:
        assert verify(file).ok


def test_names_that_are_no_text(hac, folder):
    make_hac(folder / os.fsdecode(b"b\xff\n\x1b.hac"))
    result = hac("verify", *folder.iterdir(), env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1 and r"b\xff\n\x1b.hac: OK" in result.stdout


def test_names_that_terminals_would_obey(call, folder):
    make_hac(folder / "b\x1b[31m.hac")
    code, _, errors = call("cut", "b\x1b[31m.hac", "c\x1b.hac")
    assert code == 0 and errors.startswith("b\\x1b[31m.hac -> c\\x1b.hac: 1.333 s")


def test_many_files_are_joined_with_few_open(folder):
    for number in range(40):
        make_hac(folder / f"{number:02}.hac")
    subprocess.run(["bash", "-c", f"ulimit -n 24; '{HAC}' cat -q [0-9]*.hac all.hac"], check=True, timeout=60)
    with (folder / "all.hac").open("rb") as file:
        assert verify(file).ok


def test_closed_pipe(hac):
    reader, writer = os.pipe()
    os.close(reader)
    result = hac("models", stdout=writer, stderr=subprocess.PIPE, capture_output=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [(signal.SIGINT, 130, b"hac: interrupted\n"), (signal.SIGTERM, 143, b"hac: terminated\n")],
)
def test_signals_leave_nothing_behind(number, code, message, start_hac, talk, folder):
    """The temporary file appears just before the coding begins, so this strikes while that is loaded."""
    (folder / "out.hac").write_bytes(b"precious")
    process = start_hac("compress", "-f", "-", "out.hac", stdin=subprocess.PIPE)
    process.stdin.write(talk.read_bytes())
    process.stdin.flush()
    _wait_for(lambda: len(names(folder)) == 2, process)
    process.send_signal(number)
    assert process.communicate(timeout=20)[1] == message
    assert process.returncode == code
    assert names(folder) == ["out.hac"] and (folder / "out.hac").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"terminated")]
)
@pytest.mark.parametrize("options", [["--raw", "24000:1:s16"], ["--raw", "24000:1:s16", "--live"], []])
def test_what_was_recorded_is_kept(options, number, code, word, start_hac, folder):
    """A recorder's pipe stays open, and holds samples that nobody has read yet; `timeout` sends its signal twice."""
    process = start_hac("compress", "-q", *options, "-", "out.hac", stdin=subprocess.PIPE)
    header = b"" if options else wav_header(S16, 24_000, 1, None)
    process.stdin.write(header + random.Random(0).randbytes(2 * 300_001))
    process.stdin.flush()
    _wait_for(lambda: any(path.stat().st_size > 100 for path in folder.iterdir()), process)
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.03)
    process.wait(20)
    assert process.stderr.read() == b"hac: %s; what was heard until then is kept\n" % word
    assert (process.returncode, names(folder)) == (code, ["out.hac"])
    report = verify(io.BytesIO((folder / "out.hac").read_bytes()))
    assert report.ok and report.summary.samples == 300_001
    process.stdin.close()


@pytest.mark.slow
def test_who_has_to_wait_for_what_was_recorded_is_told(start_hac, folder):
    process = start_hac("compress", "-q", "--best", "--raw", "24000:1:s16", "-", "out.hac", stdin=subprocess.PIPE)
    process.stdin.write(random.Random(0).randbytes(2 * 100_001))  # three times what a pipe usually holds
    process.stdin.flush()
    _wait_for(lambda: names(folder), process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    warning, end = process.stderr.read().splitlines()
    assert warning == b"hac: interrupted; what was heard is still to be coded, and is lost if you interrupt again"
    assert end == b"hac: interrupted; what was heard until then is kept"
    assert verify(io.BytesIO((folder / "out.hac").read_bytes())).summary.samples == 100_001
    process.stdin.close()


@pytest.mark.parametrize("options", [["--raw", "24000:1:s16"], ["--raw", "24000:1:s16", "--live"]])
def test_what_was_recorded_from_a_pipe_with_a_name_is_kept(options, start_hac, folder):
    os.mkfifo("pipe")
    process = start_hac("compress", "-q", *options, "pipe", "out.hac")
    with Path("pipe").open("wb") as recorder:
        recorder.write(random.Random(0).randbytes(2 * 300_001))
        recorder.flush()
        _wait_for(lambda: any(path.stat().st_size > 100 for path in folder.iterdir()), process)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert process.stderr.read() == b"hac: interrupted; what was heard until then is kept\n"
    assert names(folder) == ["out.hac", "pipe"]
    report = verify(io.BytesIO((folder / "out.hac").read_bytes()))
    assert report.ok and report.summary.samples == 300_001


@pytest.mark.parametrize("options", [[], ["--live"]])
def test_a_recorder_that_fails_takes_nothing_away(options, hac, folder):
    """Nothing comes through the pipe, where a recording should."""
    (folder / "old.hac").write_bytes(b"precious")
    result = hac("compress", "-f", *options, "--raw", "24000:1:s16", "-", "old.hac", stdin=subprocess.DEVNULL)
    assert result.returncode == 3 and "standard input: has no content (0 bytes)" in result.stderr
    assert (folder / "old.hac").read_bytes() == b"precious" and names(folder) == ["old.hac"]


def test_a_pipe_that_nobody_writes_to_can_be_left(start_hac, folder):
    os.mkfifo("pipe")
    process = start_hac("compress", "-q", "--live", "--raw", "24000:1:s16", "pipe", "out.hac")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == b"hac: interrupted\n"
    assert process.returncode == 130 and names(folder) == ["pipe"]


def test_a_whole_recording_is_kept_when_its_pipe_stays_open(start_hac, folder):
    process = start_hac("compress", "-q", "-", "out.hac", stdin=subprocess.PIPE)
    process.stdin.write(wav_header(S16, 24_000, 1, 300_001) + random.Random(0).randbytes(2 * 300_001))
    process.stdin.flush()
    _wait_for(lambda: any(path.stat().st_size > 100 for path in folder.iterdir()), process)
    time.sleep(1)  # all of it is read then, and the pipe's end waited for
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr.read() == b"hac: interrupted; what was heard until then is kept\n"
    report = verify(io.BytesIO((folder / "out.hac").read_bytes()))
    assert report.ok and report.summary.samples == 300_001
    process.stdin.close()


@pytest.mark.parametrize("cut", [False, True])
def test_what_was_heard_live_is_kept(cut, start_hac, folder):
    """Ctrl-C at the receiving end, or a line that was cut: blocks of 0.4 s, of which the third is not complete."""
    whole = make_hac(folder / "in.hac", total_known=False).read_bytes()
    (folder / "in.hac").unlink()
    process = start_hac("decompress", "-q", "--live", "-", "out.wav", stdin=subprocess.PIPE)
    process.stdin.write(whole[:-150])
    process.stdin.flush()
    _wait_for(lambda: any(path.stat().st_size > 1000 for path in folder.iterdir()), process)
    if cut:
        process.stdin.close()
    else:
        process.send_signal(signal.SIGINT)
    process.wait(20)
    told = process.stderr.read()
    if cut:
        assert process.returncode == 5 and b"is damaged; recovered as far as it goes (truncated; no end block)" in told
    else:
        assert (process.returncode, told) == (130, b"hac: interrupted; what was heard until then is kept\n")
        process.stdin.close()
    assert names(folder) == ["out.wav"]
    heard = soundfile.info(folder / "out.wav").frames / soundfile.info(folder / "out.wav").samplerate
    assert heard == pytest.approx(0.8 - 0.04, abs=0.41 if not cut else 0.001)


def test_a_damaged_live_stream_goes_on(hac):
    """What is heard keeps its time, and the place is named. Blocks are compact."""
    live = ("--live", "--raw", "24000:1:s16", "-", "-")
    pcm = np.random.default_rng(1).integers(-3000, 3000, 48_000, "<i2").tobytes()
    stream = bytearray(hac("compress", *live, input=pcm, text=False).stdout)
    assert len(stream) < 48 + 26 * (6 + 14 + 7) + 34
    whole = hac("decompress", *live, input=bytes(stream), text=False)
    stream[48 + 2 * 19] ^= 1  # in the second block, or the third: they have no gains yet
    hurt = hac("decompress", *live, input=bytes(stream), text=False)
    assert (whole.returncode, hurt.returncode) == (0, 5)
    place = re.search(rb"is damaged; recovered but for (\S+) s to (\S+) s ", hurt.stderr)
    assert float(place[2]) - float(place[1]) == pytest.approx(0.08)
    assert len(hurt.stdout) == len(whole.stdout) == len(pcm)


def test_whoever_comes_late_to_a_live_stream_hears_it_from_the_next_copy_of_the_header_on(hac):
    live = ("--live", "--raw", "24000:1:s16", "-", "-")
    pcm = np.random.default_rng(1).integers(-3000, 3000, 12 * 24_000, "<i2").tobytes()
    stream = hac("compress", *live, input=pcm, text=False).stdout
    whole = hac("decompress", *live, input=stream, text=False)
    late = hac("decompress", *live, input=stream[1000:], text=False)
    assert (whole.returncode, late.returncode) == (0, 5)
    assert b"its beginning was missed: heard from 8.0 s on" in late.stderr
    first = 8 * 24_000
    part = hac("decompress", "--start", "1", "--duration", "2", *live, input=stream[1000:], text=False)
    assert (part.returncode, part.stdout) == (0, late.stdout[2 * 24_000 : 2 * 3 * 24_000])
    assert len(late.stdout) == len(whole.stdout) - 2 * first
    heard, meant = (np.frombuffer(x, "<i2").astype(float) for x in (late.stdout, whole.stdout[2 * first :]))
    assert np.corrcoef(heard[48_000:], meant[48_000:])[0, 1] > 0.999


def test_an_input_that_does_not_block(start_hac, folder):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = start_hac("compress", "-q", "--raw", "24000:1:s16", "-", "out.hac", stdin=reader)
    os.close(reader)
    for _ in range(2):
        os.write(writer, bytes(20_000))
        time.sleep(1)
    os.close(writer)
    assert process.wait(20) == 0
    assert verify(io.BytesIO((folder / "out.hac").read_bytes())).summary.samples == 20_000


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_does_not_block(unbuffered, start_hac, folder):
    """What a full pipe doesn't take at once comes later."""
    make_hac(folder / "long.hac", frames=750, samples=240_000)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = start_hac("decompress", "-q", "--raw", "24000:1:s16", "long.hac", "-", stdout=writer,
                        env={**os.environ, "PYTHONUNBUFFERED": unbuffered})  # fmt: skip
    os.close(writer)
    time.sleep(2)
    with os.fdopen(reader, "rb") as pipe:
        assert len(pipe.read()) == 480_000
    assert process.wait(20) == 0


def test_an_output_that_appears_meanwhile(start_hac, talk, folder):
    process = start_hac("compress", "-", "out.hac", stdin=subprocess.PIPE)
    process.stdin.write(talk.read_bytes())
    process.stdin.flush()
    _wait_for(lambda: names(folder), process)
    (folder / "out.hac").write_bytes(b"precious")
    message = process.communicate(timeout=20)[1]
    assert process.returncode == 4 and b"exists by now; what was to become it is out-1.hac" in message
    assert (folder / "out.hac").read_bytes() == b"precious"
    assert verify(io.BytesIO((folder / "out-1.hac").read_bytes())).ok


def test_what_is_private_is_so_while_it_is_written(start_hac, talk, folder):
    (folder / "out.hac").touch(0o600)
    process = start_hac("compress", "-f", "-", "out.hac", stdin=subprocess.PIPE)
    process.stdin.write(talk.read_bytes()[:20_000])
    process.stdin.flush()
    _wait_for(lambda: len(names(folder)) == 2, process)
    time.sleep(0.1)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    process.kill()
    process.communicate(timeout=20)


@pytest.mark.slow
@pytest.mark.parametrize("there_before", [True, False])
def test_kill_at_any_time_leaves_the_old_file_or_none(there_before, start_hac, talk, folder):
    """No program can clean up after SIGKILL; what it leaves lies under another name."""
    for moment in ("begun", "blocks written", "end of input"):
        if there_before:
            (folder / "out.hac").write_bytes(b"precious")
        process = start_hac("compress", "-f", "-", "out.hac", stdin=subprocess.PIPE)
        process.stdin.write(talk.read_bytes()[:40] + b"\xff" * 4)
        process.stdin.flush()
        _wait_for(lambda: len(names(folder)) == 1 + there_before, process)
        if moment != "begun":
            process.stdin.write(bytes(1 << 19))
            process.stdin.flush()
            _wait_for(lambda: any(path.stat().st_size > 48 for path in folder.iterdir()), process)
        if moment == "end of input":
            process.stdin.close()
            process.stdin = None
        process.kill()
        process.communicate(timeout=20)
        for path in folder.iterdir():
            if path.name != "out.hac":
                path.unlink()
        if moment != "end of input":  # there it may have been quicker
            assert names(folder) == ["out.hac"] * there_before
        if (folder / "out.hac").exists():
            whole = (folder / "out.hac").read_bytes()
            assert whole == b"precious" or verify(io.BytesIO(whole)).ok


@pytest.mark.slow
def test_signals_while_coding(start_hac, talk, folder):
    process = start_hac("compress", "-", "out.hac", stdin=subprocess.PIPE)
    header = wav_header(S16, 16_000, 1, 1 << 20)
    process.stdin.write(header + random.Random(0).randbytes(1 << 19))  # noise takes more bytes than silence
    process.stdin.flush()
    _wait_for(lambda: any(path.stat().st_size > 500 for path in folder.iterdir()), process)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == b"hac: interrupted\n"
    assert (process.returncode, names(folder)) == (130, [])


@pytest.mark.slow
def test_interrupt_at_any_time(start_hac, talk, folder):
    """From when signals are handled, which nothing shows from outside; until then the process just dies."""
    for delay in (0.8, 1.4, 2.0, 2.6):
        process = start_hac("compress", "-", "out.hac", stdin=subprocess.PIPE)
        process.stdin.write(talk.read_bytes()[:20_000])
        process.stdin.flush()
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == b"hac: interrupted\n", delay
        assert (process.returncode, names(folder)) == (130, [])


@pytest.mark.slow
def test_pipeline(talk, folder):
    """Through two pipes the length stays the same to the sample."""
    script = f"cat '{talk}' | '{HAC}' compress - - | '{HAC}' decompress - - > out.wav"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert (folder / "out.wav").stat().st_size == talk.stat().st_size
    assert "standard input -> standard output: 1.01 s" in result.stderr


@pytest.mark.slow
def test_pipes_deliver_at_once_and_may_be_closed(start_hac, talk, folder):
    """Blocks come out while the input is still open; when nobody reads any more, that's no error to report."""
    process = start_hac("compress", "-q", "-", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    header = talk.read_bytes()[:40] + b"\xff\xff\xff\xff"
    process.stdin.write(header + bytes(10 * 2 * 16_000))
    process.stdin.flush()
    assert process.stdout.read(48).startswith(b"\x89HAC")
    block = process.stdout.read(8)
    rest = int.from_bytes(block[5:7], "little") + 4
    assert len(process.stdout.read(rest)) == rest
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(bytes(10 * 2 * 16_000))
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 141


def test_live_audio_is_heard_while_it_goes_on(start_hac):
    """Half a second in, the pipe still open: all comes out but for the block and 60 ms."""
    raw = ("--raw", "24000:1:s16", "--live", "-q", "-", "-")
    sender = start_hac("compress", "--block", "40ms", *raw, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    listener = start_hac("decompress", *raw, stdin=sender.stdout, stdout=subprocess.PIPE)
    sent = 24_000 // 2
    sender.stdin.write(bytes(2 * sent))
    sender.stdin.flush()
    heard = sent - round(0.1 * 24_000)
    timer = threading.Timer(30, sender.kill)  # which would end the wait for what never comes
    timer.start()
    assert len(listener.stdout.read(2 * heard)) == 2 * heard
    timer.cancel()
    sender.stdin.close()
    assert len(listener.stdout.read()) == 2 * (sent - heard)
    assert (sender.wait(20), listener.wait(20)) == (0, 0)


@pytest.mark.slow
def test_a_live_reader_does_not_wait_for_what_a_damaged_writer_promised(start_hac, folder):
    """The length of the second block is wrong in a way that its check byte doesn't notice. What follows is heard while
    the pipe is still open, and the end comes with the writer's, in the middle of a block."""
    data = make_hac(folder / "live.hac", frames=900, total_known=False, frames_per_block=6).read_bytes()
    second = 44 + BlockHeader(0x01, 0, 14).block_size
    promise = BlockHeader(0x8F, 1, 0x0300)
    listener = start_hac("decompress", "--live", "--recover", "--raw", "24000:1:s16", "-", "-",
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    listener.stdin.write(data[:second] + promise.pack() + data[second + 8 : -100])
    listener.stdin.flush()
    timer = threading.Timer(60, listener.kill)  # which would end the wait for what never comes
    timer.start()
    assert len(listener.stdout.read(2 * 24_000 * 10)) == 2 * 24_000 * 10
    timer.cancel()
    listener.stdin.close()
    listener.stdin = None
    _, errors = listener.communicate(timeout=60)
    assert listener.returncode == 5
    assert b"is damaged; recovered but for 0.04 s to 0.12 s" in errors


@pytest.mark.slow
def test_progress(folder):
    """On a terminal only, and gone when done."""
    make_hac(folder / "long.hac", frames=75 * 20 + 2, samples=24_000 * 20)
    reader, terminal = pty.openpty()
    process = subprocess.Popen([HAC, "decompress", "long.hac", "/dev/null"], stderr=terminal)
    os.close(terminal)
    shown = b""
    while True:
        try:
            shown += os.read(reader, 1000)
        except OSError:  # Linux's way to say that the other end was closed
            break
    assert process.wait(60) == 0
    assert b"x real time" in shown and b" left" in shown and b"of 20 s" in shown
    assert b"long.hac -> /dev/null: 20.00 s" in shown.rsplit(b"\r", 2)[1]


def _wait_for(condition, process, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)
