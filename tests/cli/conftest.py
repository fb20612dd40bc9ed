"""The ``hac`` command as a process, and as a function where the process itself is not what is tested."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import HAC, TALK_RATE, TALK_SAMPLES

from hac_cli.audio import AudioWriter
from hac_cli.cli.app import run


@pytest.fixture(scope="session")
def hac() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the installed command to its end."""

    def run_hac(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [HAC, *map(str, arguments)]
        return subprocess.run(command, **({"capture_output": True, "text": True, "timeout": 120} | options))

    return run_hac


@pytest.fixture(scope="session")
def start_hac() -> Callable[..., subprocess.Popen[bytes]]:
    """Starts the installed command; SIGINT works even if the tests run in the background of a script."""

    def start(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        def default_signals() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        command = [HAC, *map(str, arguments)]
        return subprocess.Popen(command, preexec_fn=default_signals, stderr=subprocess.PIPE, **options)

    return start


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The same command without a new process, which need not load everything again: exit code, stdout, stderr."""

    def run_here(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run_here


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of something like speech, of an odd length."""
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    time = np.arange(TALK_SAMPLES) / TALK_RATE
    voice = np.sin(2 * np.pi * 150 * time) * np.sin(2 * np.pi * 2 * time)
    with AudioWriter(path, TALK_RATE, 1, samples=TALK_SAMPLES) as writer:
        writer.write(0.3 * voice[None].astype(np.float32))
    return path


@pytest.fixture(scope="session")
def talk_hac(talk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, compressed."""
    path = tmp_path_factory.mktemp("talk_hac") / "talk.hac"
    assert run(["-q", "compress", str(talk), str(path)]) == 0
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
