"""Batches on a Dask cluster of real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_tools import write_talk

import hac_cli
from hac_cli.batch import manifest

FILES = 40
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def dask(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-m", "dask", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               cwd=tempfile.gettempdir())  # fmt: skip  # no build of hac_cli lies about there
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def worker(address: str, **variables: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return dask("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", **variables)


@contextlib.contextmanager
def start_scheduler() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard") as process:
        yield f"tcp://127.0.0.1:{port}", process


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with start_scheduler() as (address, _):
        yield address


def wait_for_workers(address: str, number: int) -> None:
    """For the scheduler at first."""
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        if number:
            client.wait_for_workers(number, timeout=120)


def test_a_worker_is_killed(scheduler, tmp_path, call, start_hac):
    """Every output is right and there at the end; without workers at all, or with those of another HAC, it refuses."""
    wait_for_workers(scheduler, 0)
    write_talk(tmp_path / "src" / "first.wav", 1_000)
    arguments = ("batch", "compress", "--cluster", scheduler, tmp_path / "src", tmp_path / "dst")
    code, _, errors = call(*arguments)
    assert (code, errors) == (2, f"hac: {scheduler}: the cluster has no workers; start some with `dask worker`\n")

    other = tmp_path / "other"  # the same package, of another version
    (other / "hac_cli-0.0.9.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: hac-cli\nVersion: 0.0.9\n"
    (other / "hac_cli-0.0.9.dist-info" / "METADATA").write_text(metadata)
    path = os.pathsep.join([str(other), str(Path(hac_cli.__file__).parents[1])])
    with worker(scheduler, PYTHONPATH=path):
        wait_for_workers(scheduler, 1)
        code, _, errors = call(*arguments)
        assert code == 2 and "has hac-cli 0.0.9, this is" in errors and errors.count("\n") == 1
    assert not (tmp_path / "dst" / "first.hac").exists()

    for number in range(FILES):
        write_talk(tmp_path / "src" / str(number % 3) / f"{number}.wav", 24_000 + number)
    (tmp_path / "src" / "text.wav").write_text("no audio\n" * 100)
    log = tmp_path / "dst" / manifest.NAME
    with worker(scheduler) as victim, worker(scheduler):
        wait_for_workers(scheduler, 2)
        process = start_hac(*arguments)
        wait_for_outputs(5, log, process)
        os.kill(victim.pid, signal.SIGKILL)
        errors = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 1, errors
    assert f"{FILES + 1} done, 1 failed" in errors and "hac: text.wav: is not audio" in errors
    hac_cli.compress(tmp_path / "src" / "1" / "7.wav", tmp_path / "alone.hac")
    assert (tmp_path / "dst" / "1" / "7.hac").read_bytes() == (tmp_path / "alone.hac").read_bytes()
    assert len(list((tmp_path / "dst").rglob("*.hac"))) == FILES + 1
    assert not list((tmp_path / "dst").rglob("*.part"))
    assert "0 inputs" in call("batch", "compress", "--exclude", "text.wav", tmp_path / "src", tmp_path / "dst")[2]


def wait_for_outputs(number: int, log: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 200
    while not log.exists() or log.read_bytes().count(b'"event": "done"') < number:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.02)


def test_the_scheduler_goes_away(tmp_path, start_hac, call):
    """One line says so, and the same command goes on without it."""
    for number in range(FILES):
        write_talk(tmp_path / "src" / f"{number}.wav", 24_000)
    with start_scheduler() as (address, process), worker(address):
        wait_for_workers(address, 1)
        batch = start_hac("batch", "compress", "-q", "--cluster", address, tmp_path / "src", tmp_path / "dst")
        wait_for_outputs(1, tmp_path / "dst" / manifest.NAME, batch)
        process.kill()
        errors = batch.communicate(timeout=300)[1].decode()
    assert errors == "hac: the cluster has gone away; run the same command again when it is back\n"
    assert batch.returncode == 1
    assert call("batch", "compress", "-q", "-j1", tmp_path / "src", tmp_path / "dst") == (0, "", "")
    assert len(list((tmp_path / "dst").glob("*"))) == FILES + 1
