"""Whether a file or a folder is still what it was when it was read, without opening it."""

from __future__ import annotations

import os
import stat
import sys

Signature = tuple[int, int, int, int]
"""Time of the last change (ns), size, inode, and time of the last change of any kind (ns)."""

TICK = 50_000_000
"""Nanoseconds within which two changes can carry the same time; clocks of file systems tick every 1 to 16 ms."""
COARSE_TICK = 2_100_000_000
"""The same, where the file system keeps whole seconds only (or two, as FAT does)."""


def signature(path: str) -> Signature | None:
    """Return the signature of what is at `path`, links followed; None where nothing is, or it cannot be reached."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def signature_of(found: os.stat_result) -> Signature:
    """The signature of what was looked at already."""
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def is_settled(found: Signature | None, now: int) -> bool:
    """True where any later change must show in the signature.

    A change in the same tick as the one before it may not: then the file has to be read again, once, a little later.

    Args:
        found: a signature that was taken after `now`.
        now: `time.time_ns()`.
    """
    if found is None:
        return True
    # What Windows calls ctime is the time of creation.
    changed = found[0] if sys.platform == "win32" else found[3]
    age = now - changed
    return age < -COARSE_TICK or age > (TICK if changed % 1_000_000_000 else COARSE_TICK)


def is_folder(path: str) -> bool:
    """True where a folder is at `path`, links followed; `os.path.isdir` without its cost."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
