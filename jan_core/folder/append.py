"""Append in place: one more element at the end of a list file, at a cost that does not grow with the file.

E is the offset behind the last element. Bytes before E are never written, so nothing that was there can be lost. What
stands behind E, the three bytes that end a list, is overwritten by what separates the new element from the last, and
its first byte:

    }\\n]\\n                            before
    }\\n]\\n"id":"msg_9",…}\\n]\\n        the part beyond the old end was written: still the old list
    },\\n{"id":"msg_9",…}\\n]\\n         the three bytes at E were written

Where all of it lies in one page, one write does both. Whatever order the disk takes, and wherever it stops, the longest
run of whole elements is the old list, or the new one.
"""

from __future__ import annotations

import os
import time

from jan_core.folder.calls import DISK
from jan_core.folder.elements import BETWEEN, TAIL

PAGE = 4096
"""Bytes that reach the disk together, or not at all."""


class Unsure(OSError):
    """A write failed, and what the disk holds is not known: the file is to be written anew, as a whole."""


def append_in_place(path: str, descriptor: int, end: int, element: bytes) -> tuple[os.stat_result, bool]:
    """Append to a list and return when it is on the disk. Hold the file's lock, and nothing may follow the list.

    Args:
        path: of the file.
        descriptor: the file, open to change.
        end: the offset behind its last element.
        element: one line of JSON.

    Returns:
        What the file looks like now, and whether its time is one that no later change can have.

    Raises:
        Unsure: see there. What can be read is as it was, where that could be brought about.
        OSError: it was not appended, and the file is as it was.
    """
    patch = BETWEEN + element + TAIL
    try:
        if end // PAGE == (end + len(patch) - 1) // PAGE:
            DISK.write(descriptor, patch, end)
        else:
            DISK.write(descriptor, patch[len(TAIL) :], end + len(TAIL))
            DISK.write(descriptor, patch[: len(TAIL)], end)
    except OSError as error:
        if _undo(descriptor, end, sync=True):
            raise
        raise Unsure(error.errno, error.strerror, path) from error
    now = time.time_ns()
    _set_time(path, descriptor, now)
    try:
        DISK.sync(descriptor)
    except OSError as error:
        # Not tried again: the system may have thrown away what it could not write, and would now find nothing to do.
        _undo(descriptor, end, sync=False)
        raise Unsure(error.errno, error.strerror, path) from error
    found = os.fstat(descriptor)
    return found, found.st_mtime_ns == now


def _undo(descriptor: int, end: int, *, sync: bool) -> bool:
    """Make it the old list again; False where that failed.

    It has to be on the disk before the next append: pieces of two that failed could otherwise make up one.
    """
    try:
        DISK.write(descriptor, TAIL, end)
        DISK.truncate(descriptor, end + len(TAIL))
        if sync:
            DISK.sync(descriptor)
    except OSError:
        return False
    return True


def _set_time(path: str, descriptor: int, now: int) -> None:
    """Give the file a time of its own, finer than the tick of the system's clock.

    A change by somebody else in the same tick, which leaves the size as it is, would otherwise not show.
    """
    try:
        DISK.set_time(descriptor, path, now)
    except OSError:  # a file of somebody else, which we may write to all the same
        pass
