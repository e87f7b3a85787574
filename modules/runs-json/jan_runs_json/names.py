"""Which runs a thread has, in the order of listings: kept in memory, told by the disk.

A page must not cost more in a thread of ten thousand runs than in one of ten. So the names are read once, and from then
on what this process writes is followed; what others change in the folder shows in its time, and is read again then.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jan_core.folder.catalogue import Key
from jan_core.folder.names import is_name
from jan_core.folder.signature import Signature, is_settled, signature
from jan_core.ids import timed_id_time

ENDING = ".json"
"""How the name of a run's file ends."""
PREFIX = "run_"
"""How the id of a run begins that was made here."""
TRUSTED = 2.0
"""Seconds for which the names are trusted where two changes of the folder may have had one time."""


def run_of(file: str) -> str | None:
    """The id of the run that a file of this name holds; None where it holds none."""
    id = file.removesuffix(ENDING)
    return id if id != file and is_name(id) else None


class RunNames:
    """The runs of one thread, oldest first; see `jan_core.folder.shelf.Names`. May be used by several threads.

    Args:
        folder: where their files are.
        read_time: when a run was made, as its file tells; takes its path.
    """

    def __init__(self, folder: str, read_time: Callable[[str], int | None]) -> None:
        self._folder = folder
        self._read_time = read_time
        self._lock = threading.RLock()
        self._keys: list[Key] = []
        self._times: dict[str, int] = {}
        self._seen: Signature | None = None
        self._loaded = False
        self._settled = False
        self._at = 0.0

    def __len__(self) -> int:
        return len(self._keys)

    def is_current(self) -> bool:
        """See `Names`."""
        with self._lock:
            if not self._loaded or signature(self._folder) != self._seen:
                return False
            return self._settled or time.monotonic() - self._at < TRUSTED

    def may_have_missed(self) -> bool:
        """See `Names`. What is in doubt is read again at once: it is the names of one thread."""
        return False

    def refresh(self, *, again: bool = False) -> None:
        """See `Names`."""
        now = time.time_ns()
        seen = signature(self._folder)
        with self._lock:
            known = dict(self._times) if self._loaded else {}
        found = {}
        for name in self._ids():
            made = known.get(name)
            if made is None:
                made = timed_id_time(name, PREFIX)
            if made is None:
                made = self._read_time(os.path.join(self._folder, name + ENDING))
            found[name] = 0 if made is None else made
        keys = sorted((made, name) for name, made in found.items())
        with self._lock:
            self._times, self._keys = found, keys
            self._seen, self._loaded, self._at = seen, True, time.monotonic()
            self._settled = is_settled(seen, now)

    @contextmanager
    def changing(self, name: str, made: int) -> Iterator[None]:
        """Around writing the file of a run, while its thread's lock is held. Blocks.

        Args:
            name: the run's id.
            made: when it was made, in Unix seconds.
        """
        before = signature(self._folder)
        yield
        after = signature(self._folder)
        with self._lock:
            if self._loaded:
                self.learn(name, made, new=True)
                if self._seen == before:
                    if self._settled:
                        self._at = time.monotonic()
                    self._seen, self._settled = after, False

    def learn(self, name: str, made: int, *, new: bool = False) -> None:
        """Take note of when a run was made, as its file says.

        Args:
            name: the run's id.
            made: the time, in Unix seconds.
            new: add it where it is not known.
        """
        with self._lock:
            old = self._times.get(name)
            if old == made or (old is None and not new):
                return
            if old is not None:
                del self._keys[bisect_left(self._keys, (old, name))]
            self._times[name] = made
            key = (made, name)
            if not self._keys or self._keys[-1] < key:
                self._keys.append(key)
            else:
                self._keys.insert(bisect_left(self._keys, key), key)

    def knows(self, name: str) -> bool:
        """See `Names`."""
        return name in self._times

    def key(self, name: str) -> Key:
        """See `Names`."""
        return (self._times.get(name, 0), name)

    def names(self, after: Key | None, until: Key | None, count: int, *, newest_first: bool) -> list[str]:
        """See `Names`."""
        with self._lock:
            low, high = (until, after) if newest_first else (after, until)
            start = 0 if low is None else bisect_right(self._keys, low)
            stop = len(self._keys) if high is None else bisect_left(self._keys, high)
            if newest_first:
                return [name for _, name in self._keys[max(start, stop - count) : stop][::-1]]
            return [name for _, name in self._keys[start : min(stop, start + count)]]

    def _ids(self) -> list[str]:
        try:
            files = os.listdir(self._folder)
        except OSError:
            return []
        return [id for id in map(run_of, files) if id is not None]
