"""The files of threads as they are now: a file is opened when it is not what it was when it was read."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from jan_core.folder.layout import Layout
from jan_core.folder.names import check_name
from jan_core.folder.objects import Damaged, read_object
from jan_core.folder.shelf import Unread
from jan_core.folder.signature import Signature, is_settled, signature, signature_of
from jan_core.folder.tombstones import Tombstones
from jan_core.schemas.threads import Thread
from jan_threads_json.document import MODEL, THREAD, thread_of

REMEMBERED = 512
"""Threads whose files are not read again as long as they do not change."""
CHECKED = 4096
"""Threads of which it is remembered that they are sound."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of a thread.

    Attributes:
        folder: where it lies.
        created_at: when it was made, in Unix seconds; None where it is damaged.
        content: the thread as JSON; empty where it is damaged.
        damage: what is wrong with `thread.json`.
    """

    folder: str
    seen: tuple[Signature | None, Signature | None]
    settled: bool
    created_at: int | None
    content: bytes
    damage: Damaged | None

    def thread(self) -> Thread:
        """The thread, an object of its own for every caller.

        Raises:
            Damaged: it cannot be shown.
        """
        if self.damage is not None:
            raise Damaged(self.damage.path, self.damage.line, self.damage.what)
        return Thread.model_validate_json(self.content)


class ThreadFiles:
    """The threads of one root, read. May be used by several threads at once.

    Args:
        layout: of the root.
        tombstones: of the deleted ones, which are not there.
    """

    def __init__(self, layout: Layout, tombstones: Tombstones) -> None:
        self._layout = layout
        self._tombstones = tombstones
        self._records: dict[str, Record] = {}
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

    def find(self, thread_id: str, *, may_read: bool) -> Record | None:
        """A thread as it is now; None where there is none, or it was deleted. Blocks where it may read.

        Raises:
            InvalidRequest: the id cannot be a name.
            Unread: its files must be read, and may not.
            OSError: they cannot be read.
        """
        known = self._records.get(thread_id)
        if known is not None and self._is_current(known):
            return None if self._tombstones.has(thread_id) else known
        check_name(thread_id, param="thread_id")
        folder = self._layout.thread_folder(thread_id)
        if signature(os.path.join(folder, THREAD)) is None or self._tombstones.has(thread_id):
            self.drop(thread_id)
            return None
        if not may_read:
            raise Unread
        return self._read(thread_id, folder)

    def drop(self, thread_id: str) -> None:
        """Forget what was read of a thread."""
        self._records.pop(thread_id, None)
        self._checked.pop(thread_id, None)

    def _is_current(self, known: Record) -> bool:
        path, model = os.path.join(known.folder, THREAD), os.path.join(known.folder, MODEL)
        return known.settled and (signature(path), signature(model)) == known.seen

    def _read(self, thread_id: str, folder: str) -> Record | None:
        now = time.time_ns()
        path, model = os.path.join(folder, THREAD), os.path.join(folder, MODEL)
        settings, beside = None, signature(model)
        if beside is not None:
            try:
                settings, beside, _ = read_object(model)
            except (Damaged, OSError):
                # It costs what it sets, and not the thread; whoever asks for what it sets is told.
                pass
        created_at, content, damage, seen = None, b"", None, signature(path)
        try:
            values, seen, found = read_object(path)
            if settings is not None and not isinstance(settings.get("parameters"), dict | None):
                settings = {**settings, "parameters": None}
            thread = thread_of(thread_id, path, values, found, settings)
            created_at, content = thread.created_at, thread.model_dump_json().encode()
        except Damaged as error:
            damage = error
        except FileNotFoundError:
            self.drop(thread_id)
            return None
        settled = is_settled(seen, now) and is_settled(beside, now)
        record = Record(folder, (seen, beside), settled, created_at, content, damage)
        self._records.pop(thread_id, None)
        self._records[thread_id] = record
        _cut(self._records, REMEMBERED)
        self._checked.pop(thread_id, None)
        if damage is None and seen is not None:
            self._checked[thread_id] = (path, seen)
            _cut(self._checked, CHECKED)
        return record


def _cut(kept: dict[str, object] | dict[str, Record] | dict[str, tuple[str, Signature]], most: int) -> None:
    """Take out what has been there for longest; another thread may do the same at the same time."""
    while len(kept) > most:
        try:
            kept.pop(next(iter(kept)), None)
        except (StopIteration, RuntimeError):
            return
