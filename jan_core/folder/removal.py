"""Remove folders with all that is in them: no link is followed, and a crash at any point leaves something to finish."""

from __future__ import annotations

import os
import secrets

from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout

BIN = ".deleted"
"""The folder, in a home, for what is not shown any more."""
_HIDDEN = ".removed-"


def remove_folder(path: str) -> None:
    """Remove a folder durably; where it is a link, the link alone. Nothing where there is none. Blocks.

    Raises:
        OSError: a part of it is still there.
    """
    _remove(path)
    try:
        DISK.sync_folder(os.path.dirname(path))
    except FileNotFoundError:
        pass


def hide_folder(layout: Layout, path: str) -> None:
    """Take a folder out of sight, durably and in one step, into the bin beside it. Blocks.

    Raises:
        FileNotFoundError: there is none.
        InvalidRequest: it lies outside the root, behind a link.
        OSError: it is still where it was.
    """
    parent, name = os.path.split(path)
    hidden = os.path.join(parent, BIN, f"{_HIDDEN}{name}-{secrets.token_hex(8)}")
    layout.make_folder(os.path.dirname(hidden))
    layout.check_writable(hidden)
    DISK.replace(path, hidden)
    # The new name first: with neither on the disk, a folder that was not acknowledged as deleted would be lost.
    DISK.sync_folder(os.path.dirname(hidden))
    DISK.sync_folder(parent)


def secure_hidden(home: str) -> None:
    """Flush what an earlier `hide_folder` moved, and failed before it had: a power cut would undo it. Blocks.

    Raises:
        OSError: it may not be on the disk.
    """
    for folder in (os.path.join(home, BIN), home):
        try:
            DISK.sync_folder(folder)
        except (FileNotFoundError, NotADirectoryError):
            pass


def empty_bin(home: str, name: str = "") -> None:
    """Remove what `hide_folder` put into a home's bin, also before a crash. Nothing where there is nothing. Blocks.

    Args:
        home: the folder that holds the bin.
        name: of the folder that was hidden; every one if it is empty.

    Raises:
        OSError: a part of it is still there.
    """
    folder = os.path.join(home, BIN)
    try:
        found = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        if entry.startswith(_HIDDEN):
            hidden = entry.removeprefix(_HIDDEN).rpartition("-")[0]
            if name in ("", hidden):
                _remove(os.path.join(folder, entry))


def _remove(path: str) -> None:
    try:
        if os.path.islink(path) or not os.path.isdir(path):
            DISK.unlink(path)
            return
        # Names only: an open folder cannot be removed on Windows.
        for name in os.listdir(path):
            _remove(os.path.join(path, name))
        DISK.rmdir(path)
    except FileNotFoundError:
        pass
