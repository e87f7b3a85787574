"""What is known of list files, so that it need not be read again: that all of it is in order, and what stands where.

All of it can be found out anew from the file, and is, whenever the file is not as it was left. Of what another process
appended only the addition is read. The memory this takes is bounded; what was not used for the longest is forgotten.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict

from jan_core.folder.calls import DISK
from jan_core.folder.elements import BETWEEN, HEAD, TAIL
from jan_core.folder.index import Index
from jan_core.folder.signature import Signature, is_settled, signature_of
from jan_core.folder.views import Astray, Names, blocks, parsed

BUDGET = 16 << 20
"""Bytes of memory for all files together. One alone may take more: 4 MB for a hundred thousand elements."""
COST = 1000
"""Bytes that a file takes besides its index."""

_SURE, _LOOK_AT_END, _LOOK_AT_ALL = 0, 1, 2
_GUARDS = 64


class Known:
    """What is known of one file: that it is a list in Jan's layout, up to the last byte.

    Attributes:
        signature: of the file when that was found out.
        end: the offset behind the last element.
        last: the offset of the last element.
        mark: a checksum of the last element.
        doubt: what has to be looked at although the signature is the same: a change in the same tick of the clock
            would not show in it.
        others: True where another process appended, so that it was not read whole since.
        index: where the elements are; None as long as nobody asked.
    """

    __slots__ = ("doubt", "end", "index", "last", "mark", "others", "signature")

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.end = len(HEAD)
        self.last = 0
        self.mark = 0
        self.doubt = _LOOK_AT_ALL
        self.others = False
        self.index: Index | None = None

    def add(self, lines: list[bytes], names: Names) -> None:
        """Take in lines that follow the last element.

        Raises:
            Astray: one of them is no element.
        """
        place = self.end + len(BETWEEN) if self.last else self.end
        for raw in lines:
            values = parsed(raw)
            if self.index is not None:
                for name in names(values):
                    self.index.add(name, place)
            self.last = place
            place += len(raw) + len(BETWEEN)
        self.end = place - len(BETWEEN)
        self.mark = hash(lines[-1])


class Memory:
    """What is known of the files, by path. It may be used by several threads.

    Args:
        names: gives the names of an element.
        budget: bytes of memory.
    """

    def __init__(self, names: Names, budget: int = BUDGET) -> None:
        self._names = names
        self._budget = budget
        self._files: OrderedDict[str, tuple[Known, int]] = OrderedDict()
        self._spent = 0
        self._lock = threading.Lock()
        self._guards = [threading.Lock() for _ in range(_GUARDS)]

    def end(self, path: str, descriptor: int, found: os.stat_result) -> tuple[int, bool]:
        """The offset behind the last element of a list all of which is in order, and whether it was known before.

        Args:
            path: of the file.
            descriptor: the open file.
            found: what it looks like.

        Raises:
            Astray: it is not in order, not in Jan's layout, or has no elements.
        """
        with self._guards[hash(path) % _GUARDS]:
            before = self._get(path)
            known = self._current(path, descriptor, signature_of(found))
            return known.end, known is before

    def places(
        self, path: str, descriptor: int, found: os.stat_result, name: str, *, anew: bool, at_once: bool
    ) -> list[int]:
        """The offsets where an element of this name may begin; it is for the caller to look.

        Args:
            path: of the file.
            descriptor: the open file.
            found: what it looks like.
            name: one of those that the element has.
            anew: read the whole file again if there is any reason to; without one, nothing is returned.
            at_once: raise `BlockingIOError` rather than read anything.

        Raises:
            Astray: the file is not in order, or not in Jan's layout.
        """
        signature = signature_of(found)
        guard = self._guards[hash(path) % _GUARDS]
        if not guard.acquire(blocking=not at_once):
            raise BlockingIOError
        try:
            known = self._get(path)
            ready = known is not None and known.index is not None and known.signature == signature
            if known is not None and ready and not known.doubt and not (anew and known.others):
                assert known.index is not None
                return [] if anew else known.index.places(name)
            if at_once:
                raise BlockingIOError
            known = self._current(path, descriptor, signature, index=True, anew=anew)
            assert known.index is not None
            return known.index.places(name)
        finally:
            guard.release()

    def is_doubled(self, path: str, name: str) -> bool:
        """Whether several elements of a file may have a name; True also where that is not known (any more)."""
        known = self._get(path)
        return known is None or known.index is None or known.index.is_doubled(name)

    def appended(self, path: str, end: int, element: bytes, found: os.stat_result, *, sure: bool) -> None:
        """Take in what this process appended.

        Args:
            path: of the file.
            end: the offset behind the last element before.
            element: the new one, or several as they stand in the file.
            found: what the file looks like now.
            sure: whether any later change must show in that.
        """
        with self._guards[hash(path) % _GUARDS]:
            known = self._get(path)
            if known is None:
                return
            if known.end == end:
                known.add(element.split(BETWEEN), self._names)
            elif known.end != end + len(BETWEEN) + len(element):  # else a reader saw it first
                self.forget(path)
                return
            known.signature = signature_of(found)
            known.doubt = _SURE if sure else _LOOK_AT_END
            self._keep(path, known)

    def forget(self, path: str) -> None:
        """Know nothing of a file any more."""
        with self._lock:
            old = self._files.pop(path, None)
            if old is not None:
                self._spent -= old[1]

    def _current(
        self, path: str, descriptor: int, signature: Signature, *, index: bool = False, anew: bool = False
    ) -> Known:
        now = time.time_ns()
        known = self._get(path)
        fits = known is not None and not anew and not (index and known.index is None)
        if known is None or not fits or not self._follow(known, descriptor, signature, now):
            before = known
            known = self._read(descriptor, signature, index or (before is not None and before.index is not None), now)
            if before is not None and before.signature == signature and before.doubt == _SURE:
                known.doubt = _SURE
        self._keep(path, known)
        return known

    def _follow(self, known: Known, descriptor: int, signature: Signature, now: int) -> bool:
        """Take in what was appended since. False where it was not, or not only, appended to."""
        same = known.signature == signature
        if same and known.doubt == _SURE:
            return True
        size, inode = signature[1:3]
        if known.doubt == _LOOK_AT_ALL or inode != known.signature[2] or not (same or size > known.signature[1]):
            return False
        data = DISK.read(descriptor, size - known.last, known.last)
        there = known.end - known.last
        if len(data) < size - known.last or not data.endswith(TAIL) or hash(data[:there]) != known.mark:
            return False
        more = data[there : -len(TAIL)]
        if more:
            if not more.startswith(BETWEEN):
                return False
            try:
                known.add(more[len(BETWEEN) :].split(BETWEEN), self._names)
            except Astray:
                known.doubt = _LOOK_AT_ALL
                return False
            known.others = True
        known.signature = signature
        known.doubt = _SURE if is_settled(signature, now) else _LOOK_AT_END
        return True

    def _read(self, descriptor: int, signature: Signature, index: bool, now: int) -> Known:
        def read(start: int, end: int) -> bytes:
            return DISK.read(descriptor, end - start, start)

        known = Known(signature)
        known.index = Index() if index else None
        end = signature[1] - len(TAIL)
        if read(0, len(HEAD)) != HEAD or end <= len(HEAD) or read(end, signature[1]) != TAIL:
            raise Astray
        for _, lines in blocks(read, len(HEAD), end):
            known.add(lines, self._names)
        if known.end != end:
            raise Astray
        known.doubt = _SURE if is_settled(signature, now) else _LOOK_AT_ALL
        return known

    def _get(self, path: str) -> Known | None:
        found = self._files.get(path)
        return found[0] if found else None

    def _keep(self, path: str, known: Known) -> None:
        cost = COST + (known.index.size if known.index is not None else 0)
        with self._lock:
            old = self._files.pop(path, None)
            self._files[path] = (known, cost)
            self._spent += cost - (old[1] if old else 0)
            while self._spent > self._budget and len(self._files) > 1:
                _, (_, freed) = self._files.popitem(last=False)
                self._spent -= freed
