"""Replace: the way to write a whole file so that a reader, or a power cut, finds the old one or the new one.

Both flushes are needed: without the file's, the new name can hold nothing after a power cut; without the folder's,
the old name can come back although the write was acknowledged.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from pathlib import Path

TEMPORARY = ".tmp-"
"""How the name of an unfinished file begins. One that a crash left behind may be removed at any time."""


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Make `data` the content of the file at `path`, in one step and durably. Blocks; call it in a thread.

    A file that is there keeps its permissions. A link at `path` is itself replaced, never followed. The folder must
    exist.

    Raises:
        OSError: it could not be done. Up to the rename the file is as it was, and nothing is left beside it; where
            only the folder's flush failed, the new content is in place but may not survive a power cut.
    """
    target = Path(path)
    temporary = target.parent / (TEMPORARY + secrets.token_hex(8))
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        try:
            _keep_permissions(target, temporary)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_file(descriptor: int) -> None:
    """Return when what was written to an open file is on the disk itself.

    Raises:
        OSError: it may not be; the file is suspect until it is read again, and flushing once more proves nothing.
    """
    if sys.platform == "darwin":
        import fcntl

        # A plain fsync stops at the drive's cache there. Some file systems, mostly remote ones, do not know this one.
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            import errno

            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(descriptor)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Return when the names in a folder (new, renamed, removed) are on the disk. Nothing to do on Windows.

    Raises:
        OSError: they may not be.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def _keep_permissions(old: Path, new: Path) -> None:
    try:
        found = os.lstat(old)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode):
        new.chmod(stat.S_IMODE(found.st_mode))
