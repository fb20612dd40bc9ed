"""Many recordings at once: what is to be done, who does it, and a manifest of what was done.

``plan`` compares the inputs with the ``manifest`` of earlier runs, ``run`` hands the jobs that are left to a pool
(processes of this machine, or a Dask cluster), and ``work`` is what a worker does for one job. Nothing here talks to a
terminal, and the process that plans loads no network.
"""
