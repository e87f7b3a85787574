"""Who may write: one at a time, among the threads of this process and among processes.

There are 256 lock files in `.locks/`, and a name is assigned to one of them by its checksum. They are never removed: a
lock in a folder that can be deleted would be held by one process on the old file and by another on the new.
Readers take no lock.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jan_core.folder.calls import DISK

FOLDER = ".locks"
"""The folder of the lock files, in the root."""
STRIPES = 256
"""How many lock files there are."""
PATIENCE = 30.0
"""Seconds after which whoever waits gives up: the owner is stopped, or its disk is."""

_SHORTEST, _LONGEST = 0.0002, 0.002


class Locked(TimeoutError):
    """The lock could not be had in time."""


class Locks:
    """The locks of one root. They are not reentrant, and two names can share one: hold one at a time.

    Args:
        root: the root folder. It and its `.locks/` are made when first needed.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER
        self._prefix = os.path.join(self.folder, "")
        self._threads = [threading.Lock() for _ in range(STRIPES)]

    @contextmanager
    def hold(self, name: str, *, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the lock of `name` while the block runs. Blocks; call it in a thread.

        The system gives the lock back when the process dies.

        Args:
            name: what is written to: the id of a thread, an assistant, ….
            patience: seconds to wait at most.

        Raises:
            Locked: another thread or process held it all that time.
            OSError: the lock file cannot be opened.
        """
        stripe = zlib.crc32(name.encode("utf-8", "surrogatepass")) % STRIPES
        path = f"{self._prefix}{stripe:02x}"
        until = time.monotonic() + patience
        if not self._threads[stripe].acquire(timeout=patience):
            raise _locked(name, path)
        try:
            descriptor = self._lock(path, until)
            if descriptor is None:
                raise _locked(name, path)
            try:
                yield
            finally:
                # Closing the only descriptor gives the lock back.
                DISK.close(descriptor)
        finally:
            self._threads[stripe].release()

    def _lock(self, path: str, until: float) -> int | None:
        pause, waiting = _SHORTEST, None
        while True:
            descriptor = self._open(path)
            try:
                while not _try(descriptor):
                    # The system has no call that waits for a lock only so long.
                    if time.monotonic() >= until:
                        DISK.close(descriptor)
                        return None
                    waiting = waiting or threading.Event()
                    waiting.wait(pause)
                    pause = min(2 * pause, _LONGEST)
                # Somebody may have removed the folder `.locks/`, and another process have made it anew.
                if _is_at(descriptor, path):
                    return descriptor
            except BaseException:
                DISK.close(descriptor)
                raise
            DISK.close(descriptor)

    def _open(self, path: str) -> int:
        try:
            return DISK.open_lock(path)
        except FileNotFoundError:
            for folder in (*reversed(self.folder.parents), self.folder):
                if not folder.is_dir():
                    try:
                        DISK.mkdir(folder)
                    except FileExistsError:
                        pass
            return DISK.open_lock(path)


def _locked(name: str, path: str) -> Locked:
    return Locked(f"{name!a} is being written by another process, or by one that stopped: {path} is locked.")


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _try(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            # Not `lockf`: closing any descriptor of the file would give its lock back.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
