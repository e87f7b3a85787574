"""Whether an upstream is asked: not for a while where it has just failed, and then with one request first."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 3
"""Failures in a row after which a server is left alone; one is enough where no connection can be made."""
FIRST, LAST = 0.5, 15.0
"""Seconds for which it is left alone, the first time and at most; each time twice as long."""


class Health:
    """Of one upstream.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = FIRST
        self._until = 0.0
        self._trying = False

    @property
    def well(self) -> bool:
        """True where it may be asked like any other."""
        return self._until == 0.0

    @property
    def wait(self) -> float:
        """Seconds until it is tried again; 0 where it may be."""
        return max(0.0, self._until - self._clock())

    def may_try(self) -> bool:
        """True for one request once its pause is over: how that ends decides for all."""
        if self.well:
            return True
        if self._trying or self.wait > 0:
            return False
        self._trying = True
        return True

    def given_up(self) -> None:
        """The request that tried it told nothing of it: somebody left, or another reason."""
        self._trying = False

    def worked(self) -> None:
        """It answered."""
        self._failures, self._pause, self._until, self._trying = 0, FIRST, 0.0, False

    def failed(self, *, at_once: bool = False) -> None:
        """It did not.

        Args:
            at_once: it was not even there.
        """
        if (
            self.wait > 0
        ):  # of a request that began before: all that were under way fail together, and that is one failure
            return
        self._failures += 1
        if at_once or self._failures >= FAILURES or not self.well:
            self._until = self._clock() + self._pause
            self._pause = min(LAST, 2 * self._pause)
        self._trying = False
