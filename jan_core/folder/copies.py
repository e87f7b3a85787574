"""Files from elsewhere: a second name for the same file, or a copy that gets its name when all of it is there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from jan_core.folder.calls import DISK
from jan_core.folder.replace import TEMPORARY

_BLOCK = 1 << 20


def is_same(original: Path, target: Path, told: Callable[[int], object]) -> bool:
    """Whether two files are one, or hold the same. Blocks: files of the same size and another time are read.

    Args:
        original: a file.
        target: another; it need not exist.
        told: told of the bytes that were read.
    """
    try:
        here = target.stat()
    except FileNotFoundError:
        return False
    there = original.stat()
    if os.path.samestat(here, there):
        return True
    if here.st_size != there.st_size:
        return False
    # A copy carries its original's time. Two seconds are the coarsest that a file system keeps.
    if abs(here.st_mtime - there.st_mtime) <= 2:
        return True
    with original.open("rb") as first, target.open("rb") as second:
        while block := first.read(_BLOCK):
            if second.read(_BLOCK) != block:
                return False
            told(len(block))
    return True


def link_file(original: Path, target: Path) -> bool:
    """Make `target` a second name of a file, durably. The file itself is not touched.

    Returns:
        False where the disk cannot do it, because the two lie on different ones or it knows no second names.

    Raises:
        FileExistsError: something is at `target`.
        OSError: there is no such file, or the folder cannot be written to.
    """
    try:
        DISK.link(original, target)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        if not original.exists() or not target.parent.is_dir():
            raise
        return False
    DISK.sync_folder(target.parent)
    return True


def copy_file(original: Path, target: Path, told: Callable[[int], object]) -> None:
    """Copy a file, durably; it gets its name when all of it is there. Blocks. What breaks off leaves nothing behind.

    Args:
        original: the file; it is only read.
        target: where the copy goes; a file that is there is replaced.
        told: told of the bytes that were copied.

    Raises:
        OSError: it cannot be read or written, or it changed meanwhile.
    """
    temporary = target.parent / (TEMPORARY + secrets.token_hex(8))
    descriptor = DISK.create(temporary)
    try:
        try:
            before = original.stat()
            done = 0
            with original.open("rb") as source:
                while done <= before.st_size and (block := source.read(_BLOCK)):  # it may grow as quickly
                    DISK.write(descriptor, block, done)
                    done += len(block)
                    told(len(block))
            DISK.sync(descriptor)
        finally:
            DISK.close(descriptor)
        if done != before.st_size or original.stat().st_mtime_ns != before.st_mtime_ns:
            raise OSError(0, "it changed while it was copied", str(original))
        os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))
        DISK.replace(temporary, target)
    except BaseException:
        try:
            DISK.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
    DISK.sync_folder(target.parent)
