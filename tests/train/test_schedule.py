"""Where a run stands in its budget."""

import pytest

from hac_cli.train.recipe import OptimSettings
from hac_cli.train.schedule import Schedule


def test_the_schedule_warms_up_and_ends_with_the_first_budget():
    optim = OptimSettings(warmup_steps=10, final_fraction=0.1)
    schedule = Schedule(optim, max_steps=100, budget=50.0)
    rates = []
    while not schedule.finished:
        rates.append(schedule.rate)
        schedule.advance(1.0)
    assert len(rates) == 50 and schedule.progress == 1.0
    assert rates[0] == pytest.approx(0.1) and max(rates) > 0.9 and rates[-1] == pytest.approx(0.1, abs=0.01)
    schedule.elapsed = 10.0
    schedule.step = 1
    assert schedule.seconds_left == pytest.approx(40)
