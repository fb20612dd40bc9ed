"""Worker processes."""

from __future__ import annotations

import os
import signal

import pytest

from hac_cli.batch.job import Job, Settings
from hac_cli.batch.pool import LocalPool


def test_ctrl_c_while_workers_start_is_told_when_they_have(monkeypatch):
    """It comes before the first of them is there, and none is left behind."""
    settings = Settings("compress", "src", "dst", "1.0", "v2", "weights")
    pool = LocalPool(settings, 2)
    begin = pool._context.Process.start
    started = []

    def start(process):
        os.kill(os.getpid(), signal.SIGINT)
        begin(process)
        started.append(process)

    monkeypatch.setattr(pool._context.Process, "start", start)
    with pytest.raises(KeyboardInterrupt):
        list(pool.run(iter([Job((), 0)])))
    assert len(started) == 1
    started[0].join(20)
    assert started[0].exitcode is not None
