"""Batches that are stopped in every way there is, and go on afterwards: nothing lost, nothing done twice."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from cli_tools import names

from hac_cli.audio import AudioWriter
from hac_cli.batch import manifest

FILES = 60
pytestmark = pytest.mark.slow


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Recordings of a second and a half: enough of them to be stopped in the middle."""
    rng = np.random.default_rng(3)
    for number in range(FILES):
        path = tmp_path / "src" / f"{number % 5}" / f"{number:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with AudioWriter(path, 24_000, 1, samples=36_000) as writer:
            writer.write(rng.normal(0, 0.1, (1, 36_000)).astype(np.float32))
    return tmp_path


def outputs(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.hac")}


def wait_for(condition, process, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def done(folder: Path) -> int:
    path = folder / "dst" / manifest.NAME
    return path.read_bytes().count(b'"event": "done"') if path.exists() else 0


def children(process) -> list[int]:
    """Its worker processes (and not the one that cleans up after multiprocessing)."""
    found = []
    for line in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{line}/cmdline").read_bytes():
            found.append(int(line))
    return found


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in
            Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]]  # fmt: skip


def test_interrupted_killed_and_resumed(corpus, start_hac, hac):
    """Ctrl-C, then kill -9, then a worker alone, then to the end: the same as if it had never been stopped."""
    arguments = ("batch", "compress", "-j", "2", corpus / "src", corpus / "dst")
    process = start_hac(*arguments)
    wait_for(lambda: done(corpus) >= 3, process)
    workers = children(process)
    os.kill(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[1].endswith(b"hac: interrupted\n")
    assert process.returncode == 130 and len(workers) == 2
    wait_until_gone(workers)
    assert not list(corpus.rglob("*.part"))
    first = done(corpus)

    process = start_hac(*arguments)
    wait_for(lambda: done(corpus) >= first + 3, process)
    workers = children(process)
    process.kill()
    process.communicate(timeout=60)
    wait_until_gone(workers)
    second = done(corpus)
    assert first < second < FILES
    # what a power cut may leave besides: half a line
    with (corpus / "dst" / manifest.NAME).open("ab") as file:
        file.write(b'{"event": "done", "inp')

    process = start_hac(*arguments)
    wait_for(lambda: done(corpus) >= second + 3, process)
    os.kill(children(process)[0], signal.SIGKILL)
    errors = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 0, errors
    assert f"{second} done before" in errors and f"{FILES - second} done in" in errors

    result = hac("batch", "compress", "-j", "2", corpus / "src", corpus / "whole", timeout=300)
    assert result.returncode == 0, result.stderr
    assert outputs(corpus / "dst") == outputs(corpus / "whole") and len(outputs(corpus / "dst")) == FILES
    times = Counter(line.split(b'"output": "')[1] for line in (corpus / "dst" / manifest.NAME).read_bytes().splitlines()
                    if line.startswith(b'{"event": "done", "input"'))  # fmt: skip
    assert len(times) == FILES
    assert not list(corpus.rglob("*.part"))
    assert names(corpus / "dst") == ["0", "1", "2", "3", "4", manifest.NAME]


def wait_until_gone(pids: list[int]) -> None:
    """Workers notice by themselves that there is nobody left to work for."""
    end = time.monotonic() + 30
    while alive(pids):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_recording_that_kills_its_workers(tmp_path, start_hac):
    """After two tries it is a failure like another, and the rest is done."""
    for name, seconds in (("bomb", 600), ("talk", 1)):
        (tmp_path / "src").mkdir(exist_ok=True)
        with AudioWriter(tmp_path / "src" / f"{name}.wav", 24_000, 1, samples=24_000 * seconds) as writer:
            writer.write(np.zeros((1, 24_000 * seconds), np.float32))
    process = start_hac("batch", "compress", "-j", "1", tmp_path / "src", tmp_path / "dst")
    killed: set[int] = set()
    for _ in range(2):
        wait_for(lambda: set(children(process)) - killed and list(tmp_path.rglob("*.part")), process)
        (worker,) = set(children(process)) - killed
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)
    errors = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 1 and "1 done, 1 failed" in errors
    assert "hac: bomb.wav: its worker process died twice (signal 9)" in errors
    assert names(tmp_path / "dst") == [manifest.NAME, "talk.hac"]
