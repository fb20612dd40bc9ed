"""Work in other processes goes on, whatever becomes of one of them."""

import os
import tempfile
import time

import pytest

from hac_cli.eval.workers import run_all


def work(task):
    if task == "dies":
        os._exit(9)
    if task == "fails":
        raise ValueError("no")
    return task.upper(), os.environ["OMP_NUM_THREADS"]


def test_a_process_that_dies_takes_no_other_task_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcomes = dict(run_all(work, ["a", "dies", "fails", "b"], jobs=2))
    assert not list(tmp_path.iterdir())
    assert outcomes["a"] == ("A", "1") and outcomes["b"] == ("B", "1")
    assert isinstance(outcomes["dies"], ChildProcessError)
    assert isinstance(outcomes["fails"], ValueError)


def wait(folder):
    from pathlib import Path

    (Path(folder) / "started").write_text(tempfile.gettempdir())
    time.sleep(600)


@pytest.mark.slow
def test_processes_and_their_files_go_with_the_parent(tmp_path):
    import signal
    import subprocess
    import sys
    from pathlib import Path

    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\nif __name__ == '__main__':\n"
        "    import test_workers\n    from hac_cli.eval.workers import run_all\n"
        "    list(run_all(test_workers.wait, [sys.argv[2]], 1))\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    parent = subprocess.Popen([sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)])
    folder = wait_for(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text())
    assert Path(folder).is_dir()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert wait_for(lambda: not Path(folder).exists())


def wait_for(condition, seconds=60):
    for _ in range(10 * seconds):
        if value := condition():
            return value
        time.sleep(0.1)
    return condition()
