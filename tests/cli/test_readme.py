"""README.md says what is true: its examples run, and continuous integration does what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NEEDS_A_FRESH_MACHINE = "pip install"


def blocks(language: str) -> list[str]:
    """What stands between fences of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder that a reader would be in."""
    place = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "samples", place / "samples")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("language", ["sh", "python"])
def test_examples_run(language, place):
    """One after the other, those for the shell first; but the second installation is spared."""
    script = "".join(block for block in blocks(language) if NEEDS_A_FRESH_MACHINE not in block)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    interpreter = {"sh": ["bash", "-e", "-o", "pipefail"], "python": [sys.executable, "-"]}[language]
    result = subprocess.run(interpreter, input=script, cwd=place, env=os.environ | {"PATH": path},
                            capture_output=True, text=True, timeout=300)  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_first_command_does_the_main_job():
    """What it does after the installation is what the first lines of usage do, which do run here."""
    first, *_ = blocks("sh")
    assert re.search(r"pip install .*hac compress .*samples/\S+ .*hac decompress", first, re.DOTALL)


def test_continuous_integration_runs_the_second_command():
    activate, command = blocks("sh")[1].split(" && ", 1)
    assert activate == ". .venv/bin/activate"
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_exit_codes():
    """Every exit code of an error is in the table."""
    from hac_cli.errors import HacError

    for kind in HacError.__subclasses__():
        assert re.search(rf"^\| {kind.exit_code} \| ", README, re.MULTILINE), kind
