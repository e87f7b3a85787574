"""List files: read without a lock, appended to in place, and replaced whole for every other change."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from jan_core.folder.append import Unsure, append_in_place
from jan_core.folder.calls import DISK
from jan_core.folder.elements import Scanned, joined, scan
from jan_core.folder.known import BUDGET, Memory
from jan_core.folder.locks import Locked, Locks
from jan_core.folder.objects import Damaged
from jan_core.folder.replace import remove_leftovers, replace_file
from jan_core.folder.views import Astray, LinesView, ListView, Names, Read, ScannedView, has_name

T = TypeVar("T")

BROKEN = ".broken-"
"""What stands between the name of a file and a time in the name of the copy that is kept of a broken one."""
SETTLED = 2.0
"""Seconds after the last change from which on nobody is taken to be still writing."""

AT_ONCE = 1 << 18
"""Bytes that are read at once, at most: a millisecond or two to make objects of them."""

_NO_FILE = "this is no file"
_LOOKS = 3
_REPAIR_PATIENCE = 5.0


class Lists:
    """The list files of a root. Everything blocks, unless it says otherwise; it may be called from several threads.

    Args:
        locks: the locks of the root.
        names: gives the names under which an element is to be found.
        rewrite: write the whole file for an append, too: for disks that cannot do otherwise safely.
        budget: bytes of memory for what is known of the files.
    """

    def __init__(self, locks: Locks, names: Names, *, rewrite: bool = False, budget: int = BUDGET) -> None:
        self.locks = locks
        self.names = names
        self.rewrite = rewrite
        self.memory = Memory(names, budget)
        self.suspect: set[str] = set()
        """The files of which it is not known what the disk holds; the next write replaces them."""
        self._began = time.time()

    def read(
        self, path: str, lock: str, look: Callable[[ListView], T], *, at_once: bool = False, there: bool = False
    ) -> T:
        """Look at a list.

        It sees at least what had been written when it was called. Where an append broke off, the file is put in order.

        Args:
            path: of the file; where there is none the list is empty.
            lock: the name of the file's lock.
            look: looks, and returns what it saw; it may be called several times.
            at_once: raise `BlockingIOError` rather than wait for a disk or a lock, or read much: for the event loop.
            there: raise `FileNotFoundError` where there is none, rather than look at an empty list.

        Raises:
            Damaged: it is no file.
            OSError: it cannot be read.
            BlockingIOError: see `at_once`.
        """
        for _ in range(_LOOKS):
            try:
                return self._look(path, look, at_once, there)
            except Astray:
                # Mostly a write that has just begun, or has just ended.
                continue
        if at_once:
            raise BlockingIOError
        scanned, changed = self._scan(path)
        if scanned.broken_off and self._is_settled(changed):
            try:
                with self.locks.hold(lock, patience=_REPAIR_PATIENCE):
                    scanned = self._load(path, repair=True)
            except (OSError, Locked):
                pass  # a full disk, or one that cannot be written to, keeps nobody from reading
        return look(ScannedView(scanned, self.names))

    @contextmanager
    def change(self, path: str, lock: str) -> Iterator[Change]:
        """Hold the lock of a list while the block runs.

        Args:
            path: of the file; it need not exist, but its folder must.
            lock: the name of the file's lock.

        Raises:
            Locked: see `Locks.hold`.
        """
        with self.locks.hold(lock):
            yield Change(self, path)

    def _look(self, path: str, look: Callable[[ListView], T], at_once: bool, there: bool = False) -> T:
        try:
            descriptor = DISK.open(path)
        except FileNotFoundError:
            if there:
                raise
            return look(ScannedView(Scanned(), self.names))
        try:
            found = _checked(path, descriptor)

            def places(name: str, anew: bool) -> list[int]:
                return self.memory.places(path, descriptor, found, name, anew=anew, at_once=at_once)

            doubled = partial(self.memory.is_doubled, path)
            read = _frugal(DISK.read_at_once) if at_once else DISK.read
            return look(LinesView(descriptor, found.st_size, self.names, places, doubled, read))
        finally:
            DISK.close(descriptor)

    def _scan(self, path: str) -> tuple[Scanned, float]:
        """What a file holds, and when it was changed."""
        try:
            descriptor = DISK.open(path)
        except FileNotFoundError:
            return Scanned(), 0.0
        try:
            found = _checked(path, descriptor)
            return scan(DISK.read(descriptor, found.st_size, 0)), found.st_mtime
        finally:
            DISK.close(descriptor)

    def _is_settled(self, changed: float) -> bool:
        # Not under the hands of an editor that saves piece by piece; after a crash, which was before we began, at once.
        return changed <= self._began or abs(time.time() - changed) > SETTLED

    def _load(self, path: str, *, repair: bool = False) -> Scanned:
        """All elements, under the lock. Of a broken file a copy is made first.

        Args:
            path: of the file.
            repair: put it in order where an append broke off.
        """
        scanned, changed = self._scan(path)
        if scanned.fault is not None and not (repair and not scanned.broken_off):
            _keep_copy(path, changed)
            if repair:
                self._write(path, scanned.elements)
        return scanned

    def _write(self, path: str, elements: Sequence[bytes]) -> None:
        self.memory.forget(path)
        # Until this has worked: where only the folder's flush fails, the new file is there but may not stay.
        self.suspect.add(path)
        replace_file(path, joined(elements))
        self.suspect.discard(path)
        remove_leftovers(os.path.dirname(path))


class Change:
    """A change of one list, under its lock. What each method writes is on the disk when it returns.

    Args:
        lists: the lists it is one of.
        path: of the file.
    """

    def __init__(self, lists: Lists, path: str) -> None:
        self._lists = lists
        self._path = path

    def find(self, name: str, *, thorough: bool = True) -> bytes | None:
        """The oldest element of this name; see `ListView.find`.

        Raises:
            Damaged, OSError: see `Lists.read`.
        """

        def look(view: ListView) -> bytes | None:
            element = view.find(name, thorough=thorough)
            return element.raw if element is not None else None

        return self._look(look)

    def append(self, element: bytes) -> None:
        """Add an element, one line of JSON, at the end; where there is no file, it is made.

        Raises:
            Damaged: see `Lists.read`.
            OSError: it was not added, or that could not be made certain.
        """
        lists, path = self._lists, self._path
        if not lists.rewrite and path not in lists.suspect:
            for _ in range(_LOOKS):
                try:
                    if self._append(element):
                        return
                except (Astray, FileNotFoundError):
                    break
                except Unsure:
                    lists.suspect.add(path)
                    raise
        lists._write(path, [*lists._load(path).elements, element])

    def edit(self, name: str, edited: Callable[[bytes], bytes | None]) -> bool:
        """Change or remove the element of this name; where there are several, all. The file is written anew.

        Args:
            name: one of those that the element has, and that stands in its text as it is.
            edited: gets the element and returns the new one; None removes it. It may raise. It gets the oldest first.

        Returns:
            False where there is no such element.

        Raises:
            Damaged: see `Lists.read`.
            OSError: it was not changed, or that could not be made certain.
        """
        lists = self._lists
        for _ in range(_LOOKS):
            raw = self.find(name)
            if raw is None:
                return False
            elements = lists._load(self._path).elements
            if raw in elements:  # else somebody saved the file from an editor in between
                text = name.encode()
                after = [
                    edited(one) if one == raw or (text in one and has_name(lists.names, one, name)) else one
                    for one in elements
                ]
                lists._write(self._path, [one for one in after if one is not None])
                return True
        raise OSError(0, "it is being changed by somebody else", self._path)

    def replace(self, elements: Sequence[bytes]) -> None:
        """Make these elements, each one line of JSON, the whole list.

        Raises:
            OSError: it was not done, or that could not be made certain.
        """
        self._lists._write(self._path, elements)

    def elements(self) -> list[bytes]:
        """All elements, the oldest first. Of a broken file a copy is made: what is not returned would be lost.

        Raises:
            Damaged, OSError: see `Lists.read`.
        """
        return self._lists._load(self._path).elements

    def mend(self) -> int:
        """Put a broken file in order: what can be read stays, and a copy of what the file was is kept beside it.

        Returns:
            How many elements it has.

        Raises:
            OSError: it was not done, or that could not be made certain.
        """
        elements = self.elements()
        self._lists._write(self._path, elements)
        return len(elements)

    def secure(self) -> None:
        """Return when all that can be read of the list is on the disk: who wrote it last may have been killed first.

        Raises:
            OSError: it may not be.
        """
        lists, path = self._lists, self._path
        if path in lists.suspect:
            lists._write(path, lists._load(path).elements)
            return
        descriptor = DISK.open_to_change(path)
        try:
            DISK.sync(descriptor)
        except OSError:
            lists.suspect.add(path)
            raise
        finally:
            DISK.close(descriptor)
        DISK.sync_folder(Path(path).parent)

    def remove(self) -> None:
        """Remove the file, and the copies that were kept of broken ones. Nothing where there are none.

        A folder of that name is no list, and stays.

        Raises:
            OSError: something of it may still be there.
        """
        folder, name = os.path.split(self._path)
        try:
            found = os.listdir(folder)
        except FileNotFoundError:
            return
        for one in found:
            path = os.path.join(folder, one)
            if (one == name or one.startswith(name + BROKEN)) and (os.path.islink(path) or not os.path.isdir(path)):
                DISK.unlink(path)
        DISK.sync_folder(folder)
        self._lists.memory.forget(self._path)
        self._lists.suspect.discard(self._path)

    def _look(self, look: Callable[[ListView], T]) -> T:
        lists = self._lists
        for _ in range(_LOOKS):
            try:
                return lists._look(self._path, look, False)
            except Astray:
                continue
        return look(ScannedView(lists._scan(self._path)[0], lists.names))

    def _append(self, element: bytes) -> bool:
        """Append in place; False where somebody replaced the file meanwhile, so that it went to the old one.

        Raises:
            Astray: the file has to be replaced.
        """
        lists, path = self._lists, self._path
        try:
            descriptor = DISK.open_to_change(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            if os.path.islink(path):
                raise Astray from error  # a link is not written through, but replaced
            if os.path.isdir(path):
                raise Damaged(path, 1, _NO_FILE) from None
            raise
        try:
            found = _checked(path, descriptor)
            if found.st_nlink > 1:
                raise Astray  # nor is a file that has a second name, such as a backup
            end, known = lists.memory.end(path, descriptor, found)
            if not known:
                # Who made the file, or replaced it, may have been killed before its name was on the disk.
                DISK.sync_folder(os.path.dirname(path))
            after, sure = append_in_place(path, descriptor, end, element)
            try:
                replaced = not os.path.samestat(os.stat(path), after)
            except FileNotFoundError:
                replaced = True
            if not replaced:
                lists.memory.appended(path, end, element, after, sure=sure)
            return not replaced
        finally:
            DISK.close(descriptor)


def _frugal(read: Read) -> Read:
    """Not too much, for one turn of the event loop."""
    left = AT_ONCE

    def frugal(descriptor: int, size: int, offset: int) -> bytes:
        nonlocal left
        left -= size
        if left < 0:
            raise BlockingIOError
        return read(descriptor, size, offset)

    return frugal


def _checked(path: str, descriptor: int) -> os.stat_result:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(path, 1, _NO_FILE)
    return found


def _keep_copy(path: str, changed: float) -> None:
    """Keep what a broken file holds. The time in the copy's name is the file's, so a second attempt makes no second."""
    with open(path, "rb") as file:
        data = file.read()
    copy = f"{path}{BROKEN}{int(changed)}"
    number = 1
    while os.path.lexists(copy):
        try:
            with open(copy, "rb") as file:
                if file.read() == data:
                    return
        except OSError:
            pass
        number += 1
        copy = f"{path}{BROKEN}{int(changed)}-{number}"
    replace_file(copy, data)
