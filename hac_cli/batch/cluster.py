"""Workers of a Dask cluster, which sees to it that the jobs of a worker that dies are done by another.

Workers have to see the same folders under the same names, or URLs, and to have the same version of HAC.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import time
import uuid
from collections.abc import Iterator
from typing import Any

from hac_cli.batch.job import Job, Outcome, Settings
from hac_cli.batch.pool import Done
from hac_cli.batch.storage import open_folder
from hac_cli.batch.work import identity, work
from hac_cli.errors import HacError, UsageError

PATIENCE = 10
"""Seconds to wait for a scheduler to answer."""

JOBS_PER_THREAD = 4
"""Jobs that the cluster holds for each of its threads; more would only fill the scheduler's memory."""

_COUNT_EVERY = 30.0


@contextlib.contextmanager
def _there() -> Iterator[None]:
    """For what asks the scheduler. Raises HacError where it doesn't answer any more."""
    try:
        yield
    except (OSError, asyncio.TimeoutError, concurrent.futures.CancelledError):
        raise HacError("the cluster has gone away; run the same command again when it is back") from None


class ClusterPool:
    """The workers of the scheduler at ``address``, such as ``tcp://10.0.0.1:8786``.

    Raises UsageError if there is none, or its workers can't do this version's work.
    """

    def __init__(self, settings: Settings, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UsageError("--cluster needs Dask; pip install 'hac-cli[cluster]'") from None
        for name in ("distributed", "distributed.client"):  # what matters is raised as well
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._settings = settings
        self.workers = 0
        try:
            self._client = Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"no cluster answers there; start one with `dask scheduler` ({error})", address) from error
        self._check_workers(address)

    def run(self, jobs: Iterator[Job]) -> Iterator[Done]:
        from distributed import as_completed

        running: dict[Any, Job] = {}
        completed = as_completed(loop=self._client.loop)
        batch = uuid.uuid4().hex
        submitted = 0
        counted = time.monotonic()
        with _there():
            workers = set(self._client.nthreads())
        try:
            while True:
                while len(running) < JOBS_PER_THREAD * self.workers and (job := next(jobs, None)):
                    key = f"hac-{batch}-{submitted}"
                    with _there():  # which gives the jobs of a worker that dies to another
                        future = self._client.submit(work, job.again(), self._settings, key=key, pure=False)
                    running[future] = job
                    completed.add(future)
                    submitted += 1
                if not running:
                    with _there():
                        left = set(self._client.nthreads())
                    if workers - left:  # a worker that was killed can't tidy up
                        open_folder(self._settings.target).sweep()
                    return
                future = next(completed)
                job = running.pop(future)
                yield job, self._outcomes(future, job)
                if time.monotonic() - counted > _COUNT_EVERY:  # workers come and go
                    with _there():
                        self.workers = max(1, sum(self._client.nthreads().values()))
                    counted = time.monotonic()
        finally:
            self._client.close()

    def _outcomes(self, future: Any, job: Job) -> list[Outcome]:
        with _there():
            if future.status == "finished":
                outcomes: list[Outcome] = future.result()  # where it is given up, this says that it is cancelled
                return outcomes
            if future.status != "error":
                raise ConnectionError(f"the job is {future.status}")
            error = future.exception()
        if isinstance(error, HacError):
            raise error
        if type(error).__name__ == "KilledWorker":
            reason = "the workers that worked on it died, one after the other; is there enough memory for them?"
        else:
            reason = f"a worker failed: {type(error).__name__}: {' '.join(str(error).split())}"
        return [Outcome.failed(item, reason, HacError.exit_code) for item in job.items]

    def _check_workers(self, address: str) -> None:
        """Workers that join later are checked by their first job."""
        settings = self._settings
        with _there():
            found = self._client.run(identity, settings.model, on_error="return")
            self.workers = sum(self._client.nthreads().values())
        wanted = (settings.version, settings.weights_digest)
        for worker, answer in found.items():
            if answer != wanted:
                has = f"hac-cli {answer[0]}" if isinstance(answer, tuple) else f"no HAC that works ({answer})"
                self._client.close()
                raise UsageError(f"its worker {worker} has {has}, this is {wanted[0]} with weights {wanted[1][:16]}; "
                                 "install the same on every machine", address)  # fmt: skip
        if not self.workers:
            self._client.close()
            raise UsageError("the cluster has no workers; start some with `dask worker`", address)
