"""Which folders there are, in the order in which their objects were made: kept in memory, told by the disk.

A listing must not grow with what it does not return, so the names are read once, at the first listing, and then only
followed: what server processes make and remove they tell each other (`news`), and what a person copies in or removes
changes the time of the folder that holds it. Nothing here is the truth: whoever takes a name from here looks at its
file, and says when it is not as it was remembered.
"""

from __future__ import annotations

import heapq
import os
import stat
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from jan_core.folder.locks import Locks
from jan_core.folder.names import is_name
from jan_core.folder.news import Change, Look, News
from jan_core.folder.signature import COARSE_TICK, TICK, Signature, signature

FEW = 2000
"""Up to so many names are read again where it is only possible that they changed; of more, in the background."""
TRUSTED = 2.0
"""Seconds after which that is done in any case: some file systems keep no times of folders."""
_RUN = 4096

Key = tuple[int, str]
"""When an object was made, in Unix seconds, and its name: the order of listings."""


@dataclass(slots=True)
class _Seen:
    look: Look | None
    sure: bool
    """A later change must show in `look`."""
    at: float
    count: int


class Catalogue:
    """The names of one kind of folders, oldest first.

    `refresh` and `changing` block; everything else takes microseconds. All of it may be used by several threads.

    Args:
        homes: returns the folders that hold them; of two with the same name the one in the earlier home counts.
        file: the name of the file that makes a folder one of them.
        time_of: when an object was made, as far as its name tells.
        read_time: the same as its file tells; takes the folder's path.
        locks: the root's.
        news: the path of the file in which processes tell each other of changes.
    """

    def __init__(
        self,
        homes: Callable[[], Sequence[str]],
        file: str,
        time_of: Callable[[str], int | None],
        read_time: Callable[[str], int | None],
        locks: Locks,
        news: str,
    ) -> None:
        self._find_homes = homes
        self._file = file
        self._time_of = time_of
        self._read_time = read_time
        self._locks = locks
        self._news = News(news)
        self._turn = "catalogue " + os.path.basename(news)
        self._lock = threading.RLock()
        self._scanning = threading.Lock()
        self._names: list[str] = []
        self._odd: dict[str, int] = {}
        self._homes: tuple[str, ...] = ()
        self._elsewhere: dict[str, str] = {}
        self._unknown: dict[str, tuple[str, Signature | None]] = {}
        self._seen: dict[str, _Seen] = {}
        self._loaded = False
        self._under_way: list[Change] | None = None
        self._verified = (0.0, 0.0)

    def is_current(self) -> bool:
        """True where nothing has changed since the last `refresh`, as far as can be told without reading names."""
        with self._lock:
            if not self._loaded or tuple(self._find_homes()) != self._homes:
                return False
            if self._news.has_more() and not self._follow():
                return False
            if len(self._unknown) > 64 or self._known_by_now():
                return False
            return not any(self._is_stale(home) for home in self._homes)

    def may_have_missed(self) -> bool:
        """True where `refresh(again=True)` is worth its time although nothing shows: two changes had one time."""
        with self._lock:
            at, cost = self._verified
            if not self._loaded or time.monotonic() - at < max(TRUSTED, 50 * cost):
                return False
            return any(not seen.sure and _is_old(seen.look) for seen in self._seen.values())

    def refresh(self, *, again: bool = False) -> None:
        """Bring the names up to date. Blocks for as long as it takes to read the folders that changed.

        Args:
            again: read those, too, of which it is only possible that they changed.
        """
        with self._scanning:
            if not again and self.is_current():
                return
            begun = time.monotonic()
            with self._lock:
                self._under_way = []
                if not self._loaded:
                    self._news.follow()
                self._follow()
                homes = tuple(self._find_homes())
                gone = set(self._homes) - set(homes)
                changed = [home for home in homes if again or self._is_stale(home)]
                self._homes = homes
                if gone:
                    self._forget_homes(gone)
            for home in changed:
                self._scan(home)
            self._read_unknown()
            with self._lock:
                self._under_way = None
                self._loaded = True
                if again:
                    self._verified = (time.monotonic(), time.monotonic() - begun)

    @contextmanager
    def changing(self, home: str, name: str, made: int | None) -> Iterator[None]:
        """Around making or removing the folder of an object: the lock of all processes, and the news of it. Blocks.

        Args:
            home: the folder that holds it.
            name: its name.
            made: when the object was made, where the block makes its folder; None where it removes it.
        """
        with self._locks.hold(self._turn):
            before = _look(home)
            yield
            change = Change(home, name, made, before, _look(home))
            with self._lock:
                try:
                    self._news.tell(change)
                except OSError:
                    # It did happen. Whoever follows sees from the home's time that something did.
                    return
                self._follow()

    def learn(self, name: str, made: int) -> None:
        """Take note of when an object was made, as its file says."""
        with self._lock:
            if name in self._unknown:
                home, _ = self._unknown.pop(name)
                self._add(home, name, made)
            elif self.key(name) != (made, name) and self._place(name) is not None:
                home = self.home(name)
                self._drop(name)
                self._add(home, name, made)

    def knows(self, name: str) -> bool:
        """True where there was a folder of this name."""
        with self._lock:
            return name in self._unknown or self._place(name) is not None

    def home(self, name: str) -> str:
        """The folder that holds this one."""
        with self._lock:
            return self._elsewhere.get(name) or (self._homes[0] if self._homes else "")

    def key(self, name: str) -> Key:
        """Where a name stands in the order."""
        made = self._odd.get(name)
        if made is None:
            made = self._time_of(name)
        return (0 if made is None else made, name)

    def names(self, after: Key | None, until: Key | None, count: int, *, newest_first: bool) -> list[str]:
        """Up to `count` names behind `after` and in front of `until`, both left out, in the given direction."""
        with self._lock:
            low, high = (until, after) if newest_first else (after, until)
            start = 0 if low is None else bisect_right(self._names, low, key=self.key)
            stop = len(self._names) if high is None else bisect_left(self._names, high, key=self.key)
            if newest_first:
                return self._names[max(start, stop - count) : stop][::-1]
            return self._names[start : min(stop, start + count)]

    def _follow(self) -> bool:
        """Take in the news; False where some were missed."""
        changes = self._news.read() if self._loaded or self._under_way is not None else []
        if changes is None:
            self._seen.clear()
            return False
        for change in changes:
            if self._under_way is not None:
                self._under_way.append(change)
            self._apply(change)
        return True

    def _apply(self, change: Change) -> None:
        if change.home not in self._homes:
            return
        seen = self._seen.get(change.home)
        if seen is not None and seen.look == change.before:
            seen.look = change.after
            seen.sure = seen.sure and _counts(change.after)
            seen.count += -1 if change.time is None else 1
        if change.time is None:
            if self.home(change.name) == change.home:
                self._drop(change.name)
                self._unknown.pop(change.name, None)
        elif not self.knows(change.name):
            self._add(change.home, change.name, change.time)

    def _is_stale(self, home: str) -> bool:
        seen = self._seen.get(home)
        if seen is None or _look(home) != seen.look:
            return True
        if seen.count > FEW:
            return False
        return time.monotonic() - seen.at > TRUSTED or not seen.sure

    def _known_by_now(self) -> bool:
        """True where the file of an object whose time is not known has changed."""
        return any(signature(os.path.join(h, n, self._file)) != seen for n, (h, seen) in self._unknown.items())

    def _scan(self, home: str) -> None:
        """Compare the names in a home with those that are known."""
        now = time.time_ns()
        look = _look(home)
        with self._lock:
            first = home == self._homes[0]
            known = {n for n in self._names if n not in self._elsewhere} if first else set()
            known |= {n for n, other in self._elsewhere.items() if other == home}
            known |= {n for n, (other, _) in self._unknown.items() if other == home}
        added, count = [], 0
        for name, real in _folders(home):
            count += real
            if name in known:
                known.discard(name)
            elif is_name(name):
                added.append(name)
        with self._lock:
            fresh = {change.name for change in self._under_way or ()}
            for name in known - fresh:
                self._drop(name)
                self._unknown.pop(name, None)
        self._take(home, added)
        with self._lock:
            sure = _is_old(look, now) or (look is not None and len(look) > 4 and look[4] - 2 == count)
            seen = self._seen[home] = _Seen(look, sure, time.monotonic(), count)
            for change in self._under_way or ():
                if change.home == home and change.before == seen.look:
                    seen.look = change.after
                    seen.sure = seen.sure and _counts(change.after)

    def _take(self, home: str, added: list[str]) -> None:
        timed = []
        for name in added:
            if self._time_of(name) is None:
                with self._lock:
                    if not self.knows(name):
                        self._unknown[name] = (home, (0, 0, 0, 0))
            else:
                timed.append(name)
        if len(timed) < _RUN:
            with self._lock:
                for name in timed:
                    if not self.knows(name):
                        self._add(home, name, None)
            return
        # Sorting holds up every other thread, so it is done piece by piece.
        runs = [sorted(timed[start : start + _RUN], key=self.key) for start in range(0, len(timed), _RUN)]
        merged = list(heapq.merge(*runs, key=self.key))
        with self._lock:
            if self._names or self._unknown:
                merged = [name for name in merged if not self.knows(name)]
            if home != self._homes[0]:
                self._elsewhere.update((name, home) for name in merged)
            self._names = list(heapq.merge(self._names, merged, key=self.key)) if self._names else merged

    def _read_unknown(self) -> None:
        """Read when objects were made whose names do not tell."""
        with self._lock:
            todo = list(self._unknown.items())
        for name, (home, seen) in todo:
            folder = os.path.join(home, name)
            found = signature(os.path.join(folder, self._file))
            if found == seen:
                continue
            made = self._read_time(folder)
            with self._lock:
                if name in self._unknown and made is None:
                    self._unknown[name] = (home, found)
                elif made is not None:
                    self.learn(name, made)

    def _forget_homes(self, gone: set[str]) -> None:
        for name in [name for name, home in self._elsewhere.items() if home in gone]:
            self._drop(name)
        for name in [name for name, (home, _) in self._unknown.items() if home in gone]:
            del self._unknown[name]
        for home in gone:
            self._seen.pop(home, None)

    def _add(self, home: str, name: str, made: int | None) -> None:
        if made is not None and made != self._time_of(name):
            self._odd[name] = made
        if home != self._homes[0]:
            self._elsewhere[name] = home
        key = self.key(name)
        if not self._names or self.key(self._names[-1]) < key:
            self._names.append(name)
        else:
            self._names.insert(bisect_left(self._names, key, key=self.key), name)

    def _drop(self, name: str) -> None:
        place = self._place(name)
        if place is not None:
            del self._names[place]
        self._odd.pop(name, None)
        self._elsewhere.pop(name, None)

    def _place(self, name: str) -> int | None:
        key = self.key(name)
        place = bisect_left(self._names, key, key=self.key)
        return place if place < len(self._names) and self._names[place] == name else None


def _folders(home: str) -> Iterator[tuple[str, bool]]:
    """The names of the folders in a home, and whether each is one itself, not a link."""
    try:
        entries = os.scandir(home)
    except OSError:
        return
    with entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    yield entry.name, not entry.is_symlink()
            except OSError:  # such as a link to itself
                continue


def _look(home: str) -> Look | None:
    try:
        found = os.stat(home)
    except OSError:
        return None
    # Many file systems count the folders in a folder as its links; where they do, two changes in one tick differ.
    links = (found.st_nlink,) if found.st_nlink > 2 and stat.S_ISDIR(found.st_mode) else ()
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns, *links


def _counts(look: Look | None) -> bool:
    return look is not None and len(look) > 4


def _is_old(look: Look | None, now: int | None = None) -> bool:
    if look is None:
        return True
    age = (time.time_ns() if now is None else now) - max(look[0], look[3])
    return age > (TICK if look[0] % 1_000_000_000 else COARSE_TICK)
