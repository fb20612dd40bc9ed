"""Processes that share the work: one thread each, and a task that kills its process takes no other with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from hac_cli.interrupts import interrupts_held

Task = TypeVar("Task")
Result = TypeVar("Result")

running: set[int] = set()
"""Process groups that this process has started and would have to end."""


def run_all(
    function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Iterator[tuple[Task, Result | Exception]]:
    """Every task with its result, or with what it raised, as they are done.

    When a process dies, the tasks that were not done are each tried again in a process of their own.
    """
    doubtful = []
    with _executor(jobs) as pool:
        with interrupts_held():  # which would end a process that doesn't know yet that Ctrl-C isn't for it
            futures = {pool.submit(function, task): task for task in tasks}
        for future in as_completed(futures):
            if isinstance(future.exception(), BrokenProcessPool):
                doubtful.append(futures[future])
            else:
                yield futures[future], _outcome(future)
    for task in doubtful:
        with _executor(1) as pool:
            yield task, _outcome(pool.submit(function, task))


@contextlib.contextmanager
def _executor(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """New processes, with a folder for their temporary files, which goes when they do."""
    os.environ["OMP_NUM_THREADS"] = "1"  # they inherit it; more threads than cores slow everything down
    os.environ["PYTHONWARNINGS"] = "ignore"  # what libraries warn about is no news to users
    folder = Path(tempfile.gettempdir()) / f"hac-bench-{os.urandom(8).hex()}"  # made by those that also remove it
    try:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (folder,)) as pool:
            yield pool
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _outcome(future: Future[Any]) -> Any:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return ChildProcessError("its process died, perhaps for want of memory")
    return error if error else future.result()


def _begin(folder: Path) -> None:
    """In a new process: Ctrl-C is the parent's business; when that is gone, or on a signal, clean up and follow."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _stop(folder))
    folder.mkdir(mode=0o700, exist_ok=True)
    tempfile.tempdir = str(folder)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        _stop(folder)

    threading.Thread(target=follow, daemon=True).start()


def _stop(folder: Path) -> None:
    """Ends this process and all that it has started."""
    for group in list(running):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
