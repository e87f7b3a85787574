"""Lines that are on their way to the log, in memory that outlives this process.

The event loop must not wait for a disk, and a line must not be lost once its request was answered, though the server
be killed. To wait for a thread that writes costs tens of microseconds a request, most of them for waking it. So a line
is first added to a file in memory (`/dev/shm`), which takes one or two and never a disk, and written to the log a few
milliseconds later, with others. What a killed server left there, the next one adds to the log.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

FOLDER = "/dev/shm"
"""Where the files are: in memory on every Linux. Everybody may write there, so names are made with O_EXCL, and owners
are looked at. Other systems have no such folder; there, answers wait until their lines are written."""
LARGEST = 1 << 18
"""Bytes from which on what was written meanwhile is taken out."""


class Spare:
    """A file in memory for the lines of one process. Locked as long as the process lives.

    Args:
        log: the path of the log.
        folder: where to make it.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, log: str, folder: str = FOLDER) -> None:
        self.size = 0
        self._stem = os.path.join(folder, f"{_stem(log)}{os.getpid()}-")
        self._number = 0
        self._path, self._descriptor = self._make()

    def add(self, line: bytes) -> bool:
        """Add a line; False where there is no room."""
        try:
            written = os.write(self._descriptor, line)
            if written == len(line):
                self.size += written
                return True
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            pass
        return False

    def keep(self, lines: Iterable[bytes]) -> None:
        """Forget all lines but these."""
        left = b"".join(lines)
        try:
            if left:  # what is still wanted is in a second file before the first one goes
                path, descriptor = self._make()
                if os.write(descriptor, left) < len(left):
                    os.close(descriptor)
                    os.unlink(path)
                    return
                self.close()
                self._path, self._descriptor = path, descriptor
            else:
                os.ftruncate(self._descriptor, 0)
            self.size = len(left)
        except OSError:
            pass  # no room: all stays as it is, and what is in the log already is found there

    def close(self, *, remove: bool = True) -> None:
        """Let go of the file; leave it where the next process is to take over its lines."""
        if remove:
            with suppress(OSError):
                os.unlink(self._path)
        os.close(self._descriptor)

    def _make(self) -> tuple[str, int]:
        while True:
            self._number += 1
            path = f"{self._stem}{self._number}"
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            except FileExistsError:
                continue
            _lock(descriptor)
            return path, descriptor


def leftovers(log: str, folder: str = FOLDER) -> list[str]:
    """The files that processes made for a log, this one's and those of others that live among them."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    stem = _stem(log)
    return [os.path.join(folder, name) for name in sorted(names) if name.startswith(stem)]


@contextmanager
def taken_over(path: str) -> Iterator[list[bytes]]:
    """The whole lines of a file whose process has ended; none where it lives, or the file is somebody else's.

    The file is removed when the block is left without an error.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield []
        return
    try:
        found = os.fstat(descriptor)
        own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if not own or not _lock(descriptor):
            yield []
            return
        yield [line for line in os.pread(descriptor, found.st_size, 0).splitlines(keepends=True) if line[-1:] == b"\n"]
        with suppress(FileNotFoundError):
            os.unlink(path)
    finally:
        os.close(descriptor)


def is_possible() -> bool:
    """Whether this system has such files."""
    return sys.platform == "linux" and os.access(FOLDER, os.W_OK | os.X_OK)


def _stem(log: str) -> str:
    return f"jan-audit-{hashlib.blake2b(os.path.realpath(log).encode(), digest_size=8).hexdigest()}-"


def _lock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
