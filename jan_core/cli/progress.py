"""What a pull shows while it works: a bar with speed and time left in a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from jan_core.pull.progress import Progress, in_words

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_STEPS = 10
"""Plain lines for a step whose size is known."""
_EVERY = 100_000_000
"""Bytes between two plain lines where it is not."""
_QUIET = 1.0
"""Seconds between two plain lines, at least: a short step has only its first one."""


@contextmanager
def show_progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Show a pull's progress on `stream` (standard error unless given) while the block runs.

    Example:
        with show_progress() as progress:
            pull(root, source, progress=progress)
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield Lines(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    columns = (
        # In a narrow terminal the label gives way, and the figures stay whole.
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        BarColumn(bar_width=16, table_column=Column(width=16)),
        DownloadColumn(table_column=Column(no_wrap=True, width=15)),
        TransferSpeedColumn(table_column=Column(no_wrap=True, width=10)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, width=5)),
    )
    with RichProgress(*columns, console=Console(file=stream), transient=True, expand=True) as bars:
        yield Bar(bars)


class Bar:
    """Progress as one bar of a terminal; the steps that are done leave no line behind."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        """See `Progress`."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(label, total=total, completed=done)

    def advance(self, n: int) -> None:
        """See `Progress`."""
        if self._task is not None:
            self._bars.advance(self._task, n)

    def note(self, text: str) -> None:
        """See `Progress`."""
        self._bars.console.print(text, markup=False, highlight=False)


class Lines:
    """Progress as lines of text, a few a step, for log files and pipes.

    Args:
        stream: where they go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total: int | None = None
        self._first = self._done = self._next = 0
        self._began = self._said = 0.0

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        """See `Progress`."""
        self._total, self._first, self._done = total, done, done
        self._began = self._said = time.monotonic()
        self._next = self._after(done)
        size = "" if total is None else f" ({in_words(total)})"
        self.note(label + size)

    def advance(self, n: int) -> None:
        """See `Progress`."""
        self._done += n
        if self._done < self._next:
            return
        self._next = self._after(self._done)
        now = time.monotonic()
        if now - self._said < _QUIET:
            return
        self._said = now
        speed = (self._done - self._first) / (now - self._began)
        if self._total is None:
            self.note(f"  {in_words(self._done)}, {in_words(round(speed))}/s")
            return
        left = round((self._total - self._done) / speed) if speed else 0
        percent = 100 * self._done // max(self._total, 1)
        self.note(f"  {percent:3d} %  {in_words(self._done)}, {in_words(round(speed))}/s, {left} s left")

    def note(self, text: str) -> None:
        """See `Progress`."""
        print(text, file=self._stream, flush=True)

    def _after(self, done: int) -> int:
        if self._total is None:
            return (done // _EVERY + 1) * _EVERY
        step = max(self._total // _STEPS, 1)
        return min((done // step + 1) * step, self._total) if done < self._total else sys.maxsize
