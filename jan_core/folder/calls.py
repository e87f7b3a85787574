"""The one layer of file calls: whatever changes the root on disk goes through `DISK`, and reads of its files do too.

Each method is one call of the operating system, or the smallest loop that makes one complete. A test that wants to
see, to delay or to fail what reaches the disk puts functions of its own over the methods of `DISK`; the order of the
calls and their arguments are all there is to know of a write.

All methods block and raise `OSError`.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time

Path = str | os.PathLike[str]
"""A path as these calls take it."""

_BINARY = getattr(os, "O_BINARY", 0)
# A pipe put in the place of a file must not stop the thread that opens it, nor a link lead a write elsewhere.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_PATIENCE, _PAUSE = 2.0, 0.005


class FileCalls:
    """The file calls of this system. Descriptors are plain integers, and whoever opens one closes it."""

    def open(self, path: Path) -> int:
        """Open a file to read it; a link is followed."""
        return os.open(path, os.O_RDONLY | _BINARY | _NONBLOCK)

    def open_to_change(self, path: Path) -> int:
        """Open a file that is there to read and write it. A link is refused, with `ELOOP`."""
        if not _NOFOLLOW and os.path.islink(path):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        return os.open(path, os.O_RDWR | _BINARY | _NONBLOCK | _NOFOLLOW)

    def create(self, path: Path, mode: int = 0o666) -> int:
        """Make an empty file and open it to write; raises `FileExistsError` where the name is taken, also by a link.

        It has the permissions `mode` from the start, less what the process's umask takes.
        """
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, mode)

    def open_lock(self, path: Path) -> int:
        """Open the file, or make it; for lock files, which never hold anything."""
        return os.open(path, os.O_RDWR | os.O_CREAT | _BINARY | _NOFOLLOW, 0o666)

    def close(self, descriptor: int) -> None:
        """Close an open file. It says nothing of what is on the disk."""
        os.close(descriptor)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """Return `size` bytes from `offset` on, fewer only where the file ends before."""
        found = _read(descriptor, size, offset)
        while 0 < len(found) < size:
            piece = _read(descriptor, size - len(found), offset + len(found))
            if not piece:
                break
            found += piece
        return found

    def read_at_once(self, descriptor: int, size: int, offset: int) -> bytes:
        """As `read`, for the event loop: without waiting for a disk.

        Raises:
            BlockingIOError: the disk would have to be asked, or this system cannot tell.
        """
        if not _NOWAIT:
            raise BlockingIOError(errno.EAGAIN, "this system cannot tell whether a read would wait")
        space = bytearray(size)
        done = 0
        while done < size:
            try:
                piece = os.preadv(descriptor, [memoryview(space)[done:]], offset + done, _NOWAIT)
            except OSError as error:
                if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise BlockingIOError(errno.EAGAIN, "this file system cannot tell either") from None
                raise
            if not piece:
                break
            done += piece
        return bytes(space) if done == size else bytes(space[:done])

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of `data` from `offset` on. Where it raises, any part of it may have been written."""
        rest = memoryview(data)
        while rest:
            if sys.platform == "win32":
                os.lseek(descriptor, offset, os.SEEK_SET)
                done = os.write(descriptor, rest)
            else:
                done = os.pwrite(descriptor, rest, offset)
            offset += done
            rest = rest[done:]

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut an open file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return when what was written to an open file is on the disk itself.

        Raises:
            OSError: it may not be; the file is suspect until it is read again, and flushing once more proves nothing.
        """
        _flush(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder (new, renamed, removed) are on the disk. Nothing to do on Windows."""
        if sys.platform == "win32":
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, old: Path, new: Path) -> None:
        """Give what is at `old` the name `new`, in place of a file that has it; works for folders too."""
        if sys.platform != "win32":
            os.replace(old, new)
            return
        # There a file cannot be replaced while somebody has it open; Jan's readers have it for microseconds.
        until, waiting = time.monotonic() + _PATIENCE, threading.Event()
        while True:
            try:
                os.replace(old, new)
                return
            except PermissionError:
                if time.monotonic() > until:
                    raise
            waiting.wait(_PAUSE)

    def link(self, old: Path, new: Path) -> None:
        """Give the file at `old` a second name; raises `FileExistsError` where it is taken."""
        os.link(old, new)

    def set_time(self, descriptor: int, path: Path, nanoseconds: int) -> None:
        """Set the time of the last change of an open file, which is the one at `path`."""
        os.utime(descriptor if os.utime in os.supports_fd else path, ns=(nanoseconds, nanoseconds))

    def chmod(self, path: Path, mode: int) -> None:
        """Set the permissions of a file."""
        os.chmod(path, mode)

    def unlink(self, path: Path) -> None:
        """Remove a file, or a link itself."""
        os.unlink(path)

    def mkdir(self, path: Path) -> None:
        """Make a folder; raises `FileExistsError` where the name is taken."""
        os.mkdir(path)

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""
        os.rmdir(path)


def _read(descriptor: int, size: int, offset: int) -> bytes:
    if sys.platform == "win32":
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)
    return os.pread(descriptor, size, offset)


def _flush(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        # A plain fsync stops at the drive's cache there. Some file systems, mostly remote ones, do not know this one.
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(descriptor)


DISK = FileCalls()
"""The calls that every file of this package makes."""
