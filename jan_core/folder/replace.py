"""Replace: the way to write a whole file so that a reader, or a power cut, finds the old one or the new one.

Both flushes are needed: without the file's, the new name can hold nothing after a power cut; without the folder's,
the old name can come back although the write was acknowledged.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Callable

from jan_core.folder.calls import DISK

LEFT_OVER = 60.0
"""Seconds after which an unfinished file is taken for one that nobody will finish."""
TEMPORARY = ".tmp-"
"""How the name of an unfinished file begins. One that a crash left behind may be removed at any time."""


def replace_file(
    path: str | os.PathLike[str],
    data: bytes,
    *,
    mode: int | None = None,
    lasting: bool = True,
    before: Callable[[], object] | None = None,
) -> None:
    """Make `data` the content of the file at `path`, in one step and durably. Blocks; call it in a thread.

    A link at `path` is itself replaced, never followed. The folder must exist.

    Args:
        path: the file.
        data: what it is to hold.
        mode: permissions that it has from the start, less what the umask takes: nobody else can ever open a file of
            mode 0o600. With None a file that is there keeps its permissions.
        lasting: False leaves out the flush of the folder: a power cut may bring back the old content, whole.
        before: is called when the data is on the disk, before it gets its name: it may wait for what must be there
            first. What it raises, this raises, and the file is as it was.

    Raises:
        OSError: it could not be done. Up to the rename the file is as it was, and nothing is left beside it; where
            only the folder's flush failed, the new content is in place but may not survive a power cut.
    """
    target = os.fspath(path)
    folder = os.path.dirname(target) or "."
    temporary = os.path.join(folder, TEMPORARY + secrets.token_hex(8))
    descriptor = DISK.create(temporary) if mode is None else DISK.create(temporary, mode)
    try:
        try:
            if mode is None:
                _keep_permissions(target, temporary)
            DISK.write(descriptor, data, 0)
            DISK.sync(descriptor)
        finally:
            DISK.close(descriptor)
        if before is not None:
            before()
        DISK.replace(temporary, target)
    except BaseException:
        try:
            DISK.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
    if lasting:
        DISK.sync_folder(folder)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what writes that a crash broke off left in a folder. Blocks; what cannot be removed stays."""
    try:
        for name in os.listdir(folder):
            if name.startswith(TEMPORARY):
                path = os.path.join(folder, name)
                if time.time() - os.lstat(path).st_mtime > LEFT_OVER:
                    DISK.unlink(path)
    except OSError:
        pass


def sync_file(descriptor: int) -> None:
    """As `FileCalls.sync`, which says what it promises."""
    DISK.sync(descriptor)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """As `FileCalls.sync_folder`, which says what it promises."""
    DISK.sync_folder(path)


def _keep_permissions(old: str, new: str) -> None:
    try:
        found = os.lstat(old)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode):
        DISK.chmod(new, stat.S_IMODE(found.st_mode))
