"""Worker processes."""

from __future__ import annotations

import os
import signal

import pytest

from hac_cli.batch.job import Item, Job, Settings
from hac_cli.batch.pool import LocalPool
from hac_cli.batch.work import identity


def test_ctrl_c_while_workers_start_is_told_when_they_have(monkeypatch):
    """It comes before the first of them is there, and none is left behind."""
    version, digest = identity("v2")  # or the worker would say that it has another, perhaps before the signal comes
    pool = LocalPool(Settings("compress", "src", "dst", version, "v2", digest), 2)
    begin = pool._context.Process.start
    started = []

    def start(process):
        os.kill(os.getpid(), signal.SIGINT)
        begin(process)
        started.append(process)

    monkeypatch.setattr(pool._context.Process, "start", start)
    with pytest.raises(KeyboardInterrupt):
        list(pool.run(iter([Job((Item("a.wav", "a.hac", 0, ""),), 0)])))
    assert len(started) == 1
    started[0].join(20)
    assert started[0].exitcode is not None
