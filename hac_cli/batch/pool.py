"""Worker processes on this machine, one job each at a time.

Every worker hangs on a pipe of its own. So the pool knows which job a worker that dies was at, and workers notice when
the process that started them is gone; ``concurrent.futures`` knows neither.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from hac_cli import outputs
from hac_cli.batch.job import Job, Outcome, Settings
from hac_cli.batch.storage import open_folder
from hac_cli.batch.work import prepare, use_one_thread, work
from hac_cli.errors import HacError
from hac_cli.interrupts import interrupts_held

ATTEMPTS = 2
"""How often a job is begun before the death of its workers is put down to it."""

Done = tuple[Job, list[Outcome]]


class Pool(Protocol):
    """Whoever does the work."""

    workers: int

    def run(self, jobs: Iterator[Job]) -> Iterator[Done]:
        """Jobs with their outcomes, in the order in which they are done. Takes jobs only as workers become free.

        Raises HacError if there is nobody to do the work.
        """


class LocalPool:
    """``workers`` processes, which end when ``run`` does."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.workers = workers
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")  # threads of libraries don't survive a fork
        self._crashes: dict[Job, int] = {}

    def run(self, jobs: Iterator[Job]) -> Iterator[Done]:
        again: list[Job] = []
        idle: list[_Worker] = []
        busy: dict[Connection, _Worker] = {}
        try:
            while True:
                while len(busy) < self.workers and (job := again.pop() if again else next(jobs, None)):
                    worker = idle.pop() if idle else _Worker(self._context, self._settings)
                    worker.give(job)
                    busy[worker.connection] = worker
                if not busy:
                    return
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    worker = busy[connection]
                    try:
                        outcomes = worker.receive()
                    except (EOFError, OSError):
                        outcomes = self._bury(worker, any(other.ready for other in [*idle, *busy.values()]))
                        if not outcomes:
                            again.append(worker.job.again())
                    else:
                        if outcomes is None:  # it has only become ready
                            continue
                        idle.append(worker)
                    del busy[connection]
                    if outcomes:
                        yield worker.job, outcomes
        finally:
            for worker in [*idle, *busy.values()]:
                worker.connection.close()  # one that waits for a job goes by itself
            for worker in [*idle, *busy.values()]:
                worker.end()

    def _bury(self, worker: _Worker, others_start: bool) -> list[Outcome]:
        """What becomes of the job of a worker that died: its outcomes if that is the end of it, else nothing."""
        job, code = worker.job.again(), worker.end()
        if not worker.ready and not others_start:  # a start that others manage was killed from outside
            raise HacError(f"a worker can't start (exit code {code}); try hac compress on a single file")
        target = open_folder(self._settings.target)
        for item in job.items:
            target.clean(item.target)
        self._crashes[job] = self._crashes.get(job, 0) + 1
        if self._crashes[job] < ATTEMPTS:
            return []
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        reason = f"its worker process died twice ({how}); is there enough memory for {self.workers} workers? See -j"
        return [Outcome.failed(item, reason, HacError.exit_code) for item in job.items]


class _Worker:
    """A process at the other end of a pipe."""

    job: Job

    def __init__(self, context: multiprocessing.context.SpawnContext, settings: Settings) -> None:
        self.ready = False
        self.connection, other_end = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(other_end, settings), daemon=True)
        with interrupts_held():
            self._process.start()
        other_end.close()

    def give(self, job: Job) -> None:
        self.job = job
        with contextlib.suppress(OSError):  # it has died, as receive() will notice
            self.connection.send(job)

    def receive(self) -> list[Outcome] | None:
        """The outcomes of its job, or None for the news that it is ready.

        Raises EOFError or OSError if it has died, and the error that kept it from starting.
        """
        answer: list[Outcome] | HacError | None = self.connection.recv()
        self.ready = True
        if isinstance(answer, HacError):
            raise answer
        return answer

    def end(self) -> int | None:
        """Ends the process, whatever it is doing; returns its exit code."""
        self.connection.close()
        self._process.join(1)
        if self._process.exitcode is None:
            self._process.terminate()
            self._process.join()
        return self._process.exitcode


def _serve(connection: Connection, settings: Settings) -> None:
    """The life of a worker: None when it is ready, then outcomes for every job, until the pipe is closed."""
    use_one_thread()
    threading.Thread(target=_follow_parent, daemon=True).start()
    for name in ("SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):  # Windows has no SIGHUP
            signal.signal(number, lambda *_: _leave())
    answer: HacError | list[Outcome] | None = None
    try:
        prepare(settings)
    except HacError as error:
        answer = error
    while True:
        try:
            connection.send(answer)
            job = connection.recv()
        except (EOFError, OSError):  # nobody is left to work for
            return
        answer = work(job, settings)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _leave()


def _leave() -> None:
    for path in list(outputs.unfinished):
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108
    os._exit(1)
