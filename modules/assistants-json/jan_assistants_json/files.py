"""The files of assistants as they are now: a file is opened when it is not what it was when it was read."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from jan_assistants_json.document import MODEL, assistant_of
from jan_core.folder.layout import ASSISTANT_FILE, Layout
from jan_core.folder.objects import Damaged, read_object
from jan_core.folder.shelf import Unread
from jan_core.folder.signature import Signature, is_settled, signature
from jan_core.schemas.assistants import Assistant

REMEMBERED = 512
"""Assistants whose files are not read again as long as they do not change."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of an assistant.

    Attributes:
        folder: where it lies.
        created_at: when it was made, in Unix seconds; None where it is damaged.
        content: the assistant as JSON; empty where it is damaged.
        damage: what is wrong with `assistant.json`.
    """

    folder: str
    seen: tuple[Signature | None, Signature | None]
    settled: bool
    created_at: int | None
    content: bytes
    damage: Damaged | None

    def assistant(self) -> Assistant:
        """The assistant, an object of its own for every caller.

        Raises:
            Damaged: it cannot be shown.
        """
        if self.damage is not None:
            raise Damaged(self.damage.path, self.damage.line, self.damage.what)
        return Assistant.model_validate_json(self.content)


class AssistantFiles:
    """The assistants of one root, read. May be used by several threads at once.

    Args:
        layout: of the root.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._records: dict[str, Record] = {}

    def find(self, assistant_id: str, *, may_read: bool) -> Record | None:
        """An assistant as it is now; None where there is none. Blocks where it may read.

        Raises:
            InvalidRequest: the id cannot be a name.
            Unread: its files must be read, and may not.
            OSError: they cannot be read.
        """
        folder = self._layout.assistant_folder(assistant_id)
        path, model = os.path.join(folder, ASSISTANT_FILE), os.path.join(folder, MODEL)
        found = signature(path)
        if found is None:
            self.drop(assistant_id)
            return None
        known = self._records.get(assistant_id)
        if known is not None and known.settled and (found, signature(model)) == known.seen:
            return known
        if not may_read:
            raise Unread
        return self._read(assistant_id, folder, path, model)

    def drop(self, assistant_id: str) -> None:
        """Forget what was read of an assistant."""
        self._records.pop(assistant_id, None)

    def _read(self, assistant_id: str, folder: str, path: str, model: str) -> Record | None:
        now = time.time_ns()
        settings, beside = None, signature(model)
        if beside is not None:
            try:
                settings, beside, _ = read_object(model)
            except (Damaged, OSError):
                # It costs what it sets, and not the assistant; whoever asks for what it sets is told.
                pass
        created_at, content, damage, seen = None, b"", None, signature(path)
        try:
            values, seen, found = read_object(path)
            assistant = assistant_of(assistant_id, path, values, found, settings)
            created_at, content = assistant.created_at, assistant.model_dump_json().encode()
        except Damaged as error:
            damage = error
        except FileNotFoundError:
            self.drop(assistant_id)
            return None
        settled = is_settled(seen, now) and is_settled(beside, now)
        record = Record(folder, (seen, beside), settled, created_at, content, damage)
        self._records.pop(assistant_id, None)
        self._records[assistant_id] = record
        while len(self._records) > REMEMBERED:
            try:
                self._records.pop(next(iter(self._records)), None)
            except (StopIteration, RuntimeError):  # another thread does the same
                break
        return record
