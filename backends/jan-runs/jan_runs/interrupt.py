"""How a run is told to stop: at once where it waits for the model, and not in the middle of storing something."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """The run was asked to stop."""


class Interrupt:
    """The wish that one task stop what it is at. Made by that task.

    Attributes:
        asked: True once somebody wished it.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self.asked = False
        self._open = False
        self._fired = False

    def ask(self) -> None:
        """Wish it. A task that waits inside `waiting` stops waiting; another one stops when it comes there."""
        self.asked = True
        if self._open and not self._fired:
            self._fired = True
            self._task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that stops at its next wait once the wish is there.

        Raises:
            Interrupted: it did, or the wish was there before.
        """
        if self.asked:
            raise Interrupted
        self._open = True
        try:
            yield
        except asyncio.CancelledError:
            # Cancelled by somebody else as well: the app stops, and that goes first.
            if self._fired and self._task.uncancel() == 0:
                raise Interrupted from None
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
            raise Interrupted
        self._open = False
        yield
        self._open = True
        if self.asked:
            raise Interrupted
