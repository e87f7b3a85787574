"""How a run is told to stop: at once where it waits for the model, and not in the middle of storing something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Why = Literal["cancelled", "expired"]


class Interrupted(Exception):
    """The run was asked to stop.

    Args:
        why: how it is to end.
    """

    def __init__(self, why: Why = "cancelled") -> None:
        super().__init__(why)
        self.why = why


class Interrupt:
    """The wish that one task stop what it is at. Made by that task.

    Attributes:
        asked: True once somebody wished it, or its time was over.
        why: how the run is to end then.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self.asked = False
        self.why: Why = "cancelled"
        self._open = False
        self._fired = False

    def ask(self, why: Why = "cancelled") -> None:
        """Wish it. A task that waits inside `waiting` stops waiting; another one stops when it comes there."""
        if not self.asked:
            self.asked, self.why = True, why
        if self._open and not self._fired:
            self._fired = True
            self._task.cancel()

    @contextmanager
    def until(self, moment: int | None) -> Iterator[None]:
        """A block that is asked to stop, as `expired`, when the clock comes to this moment, in Unix seconds."""
        if moment is None:
            yield
            return
        timer = asyncio.get_running_loop().call_later(max(0.0, moment - time.time()), self.ask, "expired")
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that stops at its next wait once the wish is there.

        Raises:
            Interrupted: it did, or the wish was there before.
        """
        if self.asked:
            raise Interrupted(self.why)
        self._open = True
        try:
            yield
        except asyncio.CancelledError:
            # Cancelled by somebody else as well: the app stops, and that goes first.
            if self._fired and self._task.uncancel() == 0:
                raise Interrupted(self.why) from None
            raise
        finally:
            self._open = False

    @contextmanager
    def storing(self) -> Iterator[None]:
        """A block within `waiting` that runs to its end, whatever is wished.

        Raises:
            Interrupted: the wish came meanwhile, or was there before.
        """
        if self.asked:
            raise Interrupted(self.why)
        self._open = False
        yield
        self._open = True
        if self.asked:
            raise Interrupted(self.why)
