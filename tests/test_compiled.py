"""The compiled parts are there where they can be, and never older than their sources."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hac_cli import compiled


def test_a_compiler_has_been_used_where_there_is_one() -> None:
    """Or a package that lost its library would only be slower, and tests of it skipped."""
    assert compiled.is_there() or not any(map(shutil.which, ("cc", "gcc", "clang")))


@pytest.mark.skipif(not compiled.is_there(), reason="the package was installed without a C compiler")
def test_a_library_older_than_its_sources_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "new.c"
    source.touch()
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "__init__.py"))
    os.utime(source, (time.time() + 3600,) * 2)
    with pytest.raises(ImportError, match="older than their sources: install it again"):
        compiled.library.__wrapped__()
    source.unlink()
    assert compiled.library.__wrapped__()


@pytest.mark.parametrize("compiler", [name for name in ("cc", "gcc-11", "gcc-12", "clang") if shutil.which(name)])
def test_every_compiler_here_makes_a_library(compiler: str, tmp_path: Path) -> None:
    """Where one can't, the package installs without a word, and is slow."""
    sources = sorted(map(str, Path("hac_cli/compiled").glob("*.c")))  # a package that is installed has none
    command = [compiler, "-shared", "-fPIC", "-O0", "-Wno-psabi", *sources, "-o", str(tmp_path / "library.so")]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert ctypes.CDLL(str(tmp_path / "library.so")).hac_decode
