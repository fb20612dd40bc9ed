"""One thread: the networks are small, and threads that wait for each other cost more than they bring. And no test that
looks at the clock, since machines are slow at times."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
