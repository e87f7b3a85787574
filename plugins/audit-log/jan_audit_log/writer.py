"""The thread that writes the log: it alone touches the disk."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from jan_audit_log import spare
from jan_audit_log.file import LogFile
from jan_audit_log.lines import lost_line

log = logging.getLogger("jan")

MOST_KEPT = 10_000
"""Lines that could not be written and are kept, at most."""
RETRY_SECONDS = 1.0
"""How long they wait, where no new one comes."""
_TOGETHER = 256


@dataclass(slots=True)
class Entry:
    """Lines on their way.

    Attributes:
        lines: what to write.
        told: gets whether they were written; None where nobody waits.
        begins: they stand for something that is only begun once they are written: they are not written later.
        kept_elsewhere: whether they count in `settled`.
        ends: asks the thread to end.
    """

    lines: list[bytes]
    told: asyncio.Future[bool] | None = None
    begins: bool = False
    kept_elsewhere: bool = False
    ends: bool = False


class Writer:
    """The thread, started with the first lines.

    Args:
        file: where they go.

    Attributes:
        refused: lines for which there was no room; counted by whoever refuses them.
        settled: lines counted as `kept_elsewhere` that are written, or given up.
    """

    def __init__(self, file: LogFile) -> None:
        self.refused = 0
        self.settled = 0
        self._file = file
        self._queue: SimpleQueue[Entry] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._kept: deque[Entry] = deque()
        self._dropped = 0
        self._told_lost = 0
        self._failing = False
        self._left: str | None = None

    def add(self, entry: Entry, most: int | None = None) -> bool:
        """Hand lines to the thread.

        Args:
            entry: the lines.
            most: so many entries may wait; None is any number.

        Returns:
            False where too many wait. What does not begin anything is counted as lost then.
        """
        if most is not None and self._queue.qsize() >= most:
            if not entry.begins:
                self.refused += len(entry.lines)
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="jan-audit-log", daemon=True)
            self._thread.start()
        self._queue.put(entry)
        return True

    def take_over(self, path: str) -> None:
        """Add to the log at `path` what servers that were killed had on their way there."""
        self._left = path
        self.add(Entry([]))

    async def stop(self, seconds: float) -> bool:
        """Write what is there, and end the thread.

        Args:
            seconds: how long to wait for it.

        Returns:
            Whether everything was written in that time.
        """
        if self._thread is None:
            return True
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(seconds, _tell, [(ended, False)])
        self._queue.put(Entry([], told=ended, ends=True))
        self._thread = None
        whole = await ended
        timer.cancel()
        return whole

    def _lost(self) -> int:
        return self.refused + self._dropped - self._told_lost

    def _run(self) -> None:
        """The thread: writes until it is asked to end."""
        while True:
            entries: list[Entry] = []
            try:
                entries.append(self._queue.get(timeout=RETRY_SECONDS if self._kept else None))
            except Empty:
                pass
            for _ in range(min(self._queue.qsize(), _TOGETHER)):  # this thread alone takes from it
                entries.append(self._queue.get())
            ends = [entry for entry in entries if entry.ends]
            self._write([entry for entry in entries if not entry.ends])
            if ends:
                self._file.close()
                lost = sum(len(entry.lines) for entry in self._kept) + self._lost()
                if lost:
                    log.error("%d lines did not get into the audit log: it could not be written", lost)
                _answer((entry, not lost) for entry in ends)
                return

    def _write(self, entries: list[Entry]) -> None:
        """Write what was kept, then these; keep what cannot be written, and tell whoever waits."""
        rest = deque(entries)
        good = False
        try:
            self._file.prepare()
            if self._left is not None:
                self._take_over(self._left)
                self._left = None
            while self._kept:
                self._put(self._kept[0])
                self._kept.popleft()
            if lost := self._lost():
                self._put(Entry([lost_line(lost)]))
                self._told_lost += lost
            while rest:
                self._put(rest[0])
                rest.popleft()
            self._file.flush()
            good = True
        except OSError as error:
            self._failed(error)
            for entry in rest:
                self._keep(entry)
        if good and self._failing:
            self._failing = False
            log.warning("the audit log %s is written again", self._file.path)
        _answer((entry, good) for entry in entries)

    def _put(self, entry: Entry) -> None:
        """Write an entry's lines; those that are written are taken out of it."""
        if entry.begins and entry.told is not None and entry.told.done():
            return  # who asked was told no meanwhile
        if entry.lines:
            count = self._file.write(entry.lines)
            del entry.lines[:count]
            self.settled += count * entry.kept_elsewhere
        if entry.lines:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.path)

    def _keep(self, entry: Entry) -> None:
        """Keep lines that could not be written, as far as there is room."""
        if entry.begins or not entry.lines:
            return
        if sum(len(one.lines) for one in self._kept) < MOST_KEPT:
            self._kept.append(Entry(entry.lines, kept_elsewhere=entry.kept_elsewhere))
        else:
            self._dropped += len(entry.lines)
            self.settled += len(entry.lines) * entry.kept_elsewhere

    def _take_over(self, path: str) -> None:
        for left in spare.leftovers(path):
            with spare.taken_over(left) as lines:
                there = self._file.newest() if lines else frozenset()
                self._put(Entry([line for line in lines if line not in there]))

    def _failed(self, error: OSError) -> None:
        self._file.close()
        if not self._failing:
            self._failing = True
            log.error("the audit log %s cannot be written: %s", self._file.path, error.strerror)


def _answer(told: Iterable[tuple[Entry, bool]]) -> None:
    """Tell, on its own loop, whoever waits for one of these entries."""
    waiting = [(entry.told, good) for entry, good in told if entry.told is not None]
    if waiting:
        try:
            waiting[0][0].get_loop().call_soon_threadsafe(_tell, waiting)
        except RuntimeError:  # that loop has ended, and nobody waits any more
            pass


def _tell(told: Iterable[tuple[asyncio.Future[bool], bool]]) -> None:
    for future, good in told:
        if not future.done():
            future.set_result(good)
