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
from typing import Any, TypeVar

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
    with (
        tempfile.TemporaryDirectory(prefix="hac-bench-", ignore_cleanup_errors=True) as folder,
        ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (folder,)) as pool,
    ):
        yield pool


def _outcome(future: Future[Any]) -> Any:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return ChildProcessError("its process died, perhaps for want of memory")
    return error if error else future.result()


def _begin(folder: str) -> None:
    """In a new process: Ctrl-C is the parent's business; when that is gone, clean up and follow."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = folder
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        _clean_up(folder)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _clean_up(folder: str) -> None:
    for group in list(running):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    shutil.rmtree(folder, ignore_errors=True)
