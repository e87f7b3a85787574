"""The files of threads as they are now, and which threads are known to be sound."""

from __future__ import annotations

import os

from typing_extensions import override

from jan_core.folder.layout import Layout
from jan_core.folder.records import Record, Records, keep
from jan_core.folder.signature import Signature, signature_of
from jan_core.folder.tombstones import Tombstones
from jan_core.schemas.threads import Thread
from jan_threads_json.document import MODEL, THREAD, thread_of

CHECKED = 4096
"""Threads of which it is remembered that they are sound."""


class ThreadFiles(Records[Thread]):
    """The threads of one root, read. May be used by several threads at once.

    Args:
        layout: of the root.
        tombstones: of the deleted ones, which are not there.
    """

    def __init__(self, layout: Layout, tombstones: Tombstones) -> None:
        super().__init__(Thread, THREAD, MODEL, thread_of, layout.thread_folder)
        self._tombstones = tombstones
        self._checked: dict[str, tuple[str, Signature]] = {}

    def is_checked(self, thread_id: str) -> bool:
        """True where the thread was sound when it was last read, and nothing happened to it. A few microseconds."""
        known = self._checked.get(thread_id)
        if known is None:
            return False
        path, seen = known
        try:
            found = os.stat(path)
        except OSError:
            return False
        return signature_of(found) == seen and not self._tombstones.has(thread_id)

    @override
    def is_hidden(self, name: str) -> bool:
        return self._tombstones.has(name)

    @override
    def drop(self, name: str) -> None:
        super().drop(name)
        self._checked.pop(name, None)

    @override
    def read(self, name: str, folder: str, *, at_once: bool = False) -> Record[Thread] | None:
        record = super().read(name, folder, at_once=at_once)
        seen = None if record is None or record.damage is not None else record.seen[0]
        if seen is None:
            self._checked.pop(name, None)
        else:
            keep(self._checked, name, (os.path.join(folder, THREAD), seen), CHECKED)
        return record
