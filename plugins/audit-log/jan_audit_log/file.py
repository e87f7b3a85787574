"""The log's file: lines at its end, and files put aside when it is large. Everything here blocks."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from jan_core.errors import InvalidRequest
from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout

LOOK_SECONDS = 1.0
"""How long lines may go on being written to a file that somebody has put aside."""
NEWEST = 8 << 20
"""Bytes of the log that are looked through for lines that a killed server may have written already."""
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
_FLAGS |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class LogFile:
    """A file that only grows, and that others may add to, put aside or take away at any time. Used by one thread.

    Args:
        root: the root folder.
        path: the file; absolute, inside the root.
        fsync: whether `flush` waits for the disk.
        rotate_bytes: the size from which on the file is put aside; 0 is never.
        keep: how many files put aside are kept; 0 keeps all.
    """

    def __init__(self, root: Path, path: str, *, fsync: bool, rotate_bytes: int, keep: int) -> None:
        self.path = path
        self._layout = Layout(root)
        self._fsync = fsync
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._descriptor = -1
        self._opened: tuple[int, int] | None = None
        self._torn = False
        self._size = 0
        self._looked = 0.0

    def prepare(self) -> None:
        """Open the file that has the name now, and put it aside first where it is large.

        Whether another file has the name is looked at once in `LOOK_SECONDS`.

        Raises:
            OSError: it cannot be opened, or is no plain file of one name in the root.
        """
        full = 0 < self._rotate_bytes <= self._size
        now = time.monotonic()
        if self._descriptor >= 0 and not full and now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        found = self._look()
        if found is not None and 0 < self._rotate_bytes <= found.st_size:
            self._put_aside()
            found = None
        if found is not None:
            self._size = found.st_size
        if found is None or (found.st_dev, found.st_ino) != self._opened:
            self.close()
            self._open()

    def write(self, lines: Sequence[bytes]) -> int:
        """Write lines in one call, their ends included: one each would let go of Python's lock, and wait for it, each
        time. A line that was cut off before stays one of its own.

        Returns:
            How many of them are whole in the file; fewer than all where the disk is full.

        Raises:
            OSError: none was written.
        """
        lead = b"\n" if self._torn else b""
        whole = lead + b"".join(lines)
        written = os.write(self._descriptor, whole)
        self._size += written
        if written == len(whole):
            self._torn = False
            return len(lines)
        count, end = 0, len(lead)
        while end + len(lines[count]) <= written:
            end += len(lines[count])
            count += 1
        self._torn = written > end or (self._torn and not written)
        return count

    def flush(self) -> None:
        """Return when what was written is on the disk, where that is wanted.

        Raises:
            OSError: it is not known to be there.
        """
        if self._fsync:
            DISK.sync(self._descriptor)

    def newest(self) -> frozenset[bytes]:
        """The newest lines: those at the end of the file, and where it is short of the one put aside before it.

        Raises:
            OSError: they cannot be read.
        """
        found = _end(self.path)
        if len(found) < NEWEST:
            for before in put_aside(self.path)[-1:]:
                found = _end(before) + found
        return frozenset(found.splitlines(keepends=True))

    def close(self) -> None:
        """Close the file. The next `prepare` opens it again."""
        descriptor, self._descriptor, self._opened = self._descriptor, -1, None
        if descriptor >= 0:
            os.close(descriptor)

    def _look(self) -> os.stat_result | None:
        try:
            return os.lstat(self.path)
        except FileNotFoundError:
            return None

    def _open(self) -> None:
        folder = os.path.dirname(self.path)
        try:
            self._layout.make_folder(folder)
            self._layout.check_writable(self.path)
        except InvalidRequest as error:
            raise OSError(errno.EPERM, error.message, self.path) from error
        descriptor = os.open(self.path, _FLAGS, 0o600)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is no plain file", self.path)
            if found.st_nlink > 1:
                raise OSError(errno.EMLINK, "it has a second name", self.path)
            if self._fsync:
                DISK.sync_folder(folder)
            self._torn = found.st_size > 0 and _last_byte(descriptor, found.st_size) != b"\n"
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._opened, self._size = descriptor, (found.st_dev, found.st_ino), found.st_size

    def _put_aside(self) -> None:
        self.close()
        stem = self.path.removesuffix(".jsonl")
        now = time.time_ns() // 1000
        while True:
            second, fraction = divmod(now, 1_000_000)
            moment = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(second))}.{fraction:06d}Z"
            # With the process's number no two servers of one root can choose the same name.
            aside = f"{stem}-{moment}-{os.getpid()}.jsonl"
            if not os.path.lexists(aside):
                break
            now += 1
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:  # another server was quicker
            return
        if self._keep:
            for old in put_aside(self.path)[: -self._keep]:
                Path(old).unlink(missing_ok=True)


def put_aside(path: str) -> list[str]:
    """The files of a log that were put aside, oldest first."""
    folder, name = os.path.split(path)
    stem = name.removesuffix(".jsonl") + "-"
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = [one for one in names if one.startswith(stem) and one.endswith(".jsonl") and _is_moment(one[len(stem) :])]
    return [os.path.join(folder, one) for one in sorted(found)]


def _is_moment(text: str) -> bool:
    try:
        time.strptime(text[:15], "%Y%m%dT%H%M%S")
    except ValueError:
        return False
    return True


def _end(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - NEWEST))
        return file.read()


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)
