"""Two threads for one stream: the network's second half for one piece beside its first half for the next."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import numpy as np

Half = Callable[[np.ndarray], np.ndarray]
"""Half of a network, with the state of one stream in it: called for one piece after the other."""


class Pipeline:
    """Runs pieces through both halves, in order; threads change when results come, not what they are.

    concurrent.futures would do, but takes longer to import than a second of audio takes to code.
    """

    def __init__(self, halves: tuple[Half, Half], threads: int) -> None:
        self._first, self._second = halves
        self._parallel = threads > 1
        self._thread: Thread | None = None
        self._results: list[np.ndarray] = []
        self._error: BaseException | None = None

    def push(self, piece: np.ndarray) -> list[np.ndarray]:
        """Takes a piece, gives the results that are there: with two threads, those of the pieces before it."""
        middle = self._first(piece)
        ready = self.wait()
        if not self._parallel:
            return [self._second(middle)]
        self._thread = Thread(target=self._run, args=(middle,))
        self._thread.start()
        return ready

    def wait(self) -> list[np.ndarray]:
        """The results that are still due."""
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._error:
            raise self._error
        ready, self._results = self._results, []
        return ready

    def _run(self, middle: np.ndarray) -> None:
        try:
            self._results.append(self._second(middle))
        except BaseException as error:
            self._error = error
