"""Tombstones: durable notes that something was deleted, which hide it until all of it has been removed.

A note is a file of the deleted thing's name in a folder of its own. Looking for one is one call of the operating
system, and whoever starts reads the notes alone.
"""

from __future__ import annotations

import json
import os
import time

from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout
from jan_core.folder.names import is_name
from jan_core.folder.replace import TEMPORARY, replace_file


class Tombstones:
    """The notes in one folder. Every method may be called from several threads and processes.

    Args:
        layout: of the root.
        folder: where the notes are; made with the first one.
    """

    def __init__(self, layout: Layout, folder: str) -> None:
        self.folder = folder
        self._layout = layout
        self._slash = folder + os.sep
        # Another process may have removed a note, and failed to flush that.
        self._sure = False

    def has(self, name: str) -> bool:
        """True where there is a note of this name. Two microseconds: every operation on a thread asks."""
        return os.access(self._slash + name, os.F_OK)

    def add(self, name: str) -> None:
        """Write a note durably; nothing where there is one. Blocks.

        Args:
            name: a checked name.

        Raises:
            OSError: it may not be on the disk.
        """
        self._layout.make_folder(self.folder)
        note = {"id": name, "deleted_at": int(time.time())}
        replace_file(self._slash + name, json.dumps(note).encode() + b"\n")

    def remove(self, name: str) -> None:
        """Remove a note; nothing where there is none. Blocks.

        Durably: a note that a power cut brought back would remove what was made under this name afterwards.

        Raises:
            OSError: it is still there, or may be there again after a power cut.
        """
        try:
            DISK.unlink(self._slash + name)
        except FileNotFoundError:
            return
        self._sure = False
        DISK.sync_folder(self.folder)
        self._sure = True

    def secure(self) -> None:
        """Flush the removal of notes, where one failed to: a power cut would undo it. Blocks.

        Whoever makes something under a name that had a note calls it first.

        Raises:
            OSError: it may not be on the disk.
        """
        if self._sure:
            return
        try:
            DISK.sync_folder(self.folder)
        except FileNotFoundError:
            pass
        self._sure = True

    def names(self) -> list[str]:
        """The names of all notes, in order. Blocks."""
        try:
            found = os.listdir(self.folder)
        except OSError:
            return []
        for name in found:
            if name.startswith(TEMPORARY):
                self._clean(name)
        return sorted(name for name in found if is_name(name))

    def _clean(self, name: str) -> None:
        """Remove what a crash left, unless somebody is writing it now."""
        path = self._slash + name
        try:
            if time.time() - os.stat(path).st_mtime > 60:
                DISK.unlink(path)
        except OSError:
            pass
