"""The files of runs: read where they are not what they were when they were last read, and written whole."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jan_core.folder.layout import Layout
from jan_core.folder.names import check_name
from jan_core.folder.objects import AT_ONCE, LARGEST, Damaged, read_content, read_object, values_in, write_object
from jan_core.folder.shelf import Unread
from jan_core.folder.signature import Signature, is_settled, signature
from jan_core.schemas.runs import KeptRun
from jan_runs_json.document import copy_of, kept_of, values_of
from jan_runs_json.names import ENDING

RUNS = "runs"
"""The folder of the runs, in the thread's folder."""
REMEMBERED = 1024
"""Runs that are not read again as long as their files do not change, at most."""
BYTES = 16 << 20
"""Bytes of files that are remembered, at most; beyond, the oldest are forgotten."""
ROOM = 64 << 10
"""Bytes of the largest file that a run which goes on leaves free: with them it can be cancelled, or fail."""


@dataclass(frozen=True, slots=True)
class ReadRun:
    """What was read of a run's file.

    Attributes:
        kept: the run; nobody changes it. None where it is damaged.
        damage: what is wrong with it.
        values: all that the file holds; nobody changes them.
        seen: the signature of the file.
        settled: any later change must show in it.
        content: the bytes of the file, where they are few: as long as it holds them, it need not be made sense of.
    """

    kept: KeptRun | None
    damage: Damaged | None
    values: dict[str, Any]
    seen: Signature | None
    settled: bool
    content: bytes = b""

    @property
    def size(self) -> int:
        """Bytes that remembering it takes, about."""
        return (0 if self.seen is None else self.seen[1]) + len(self.content)

    def item(self) -> KeptRun:
        """The run.

        Raises:
            Damaged: it cannot be shown.
        """
        if self.kept is None:
            assert self.damage is not None
            raise Damaged(self.damage.path, self.damage.line, self.damage.what)
        return self.kept


class RunFiles:
    """The files of the runs of one root. May be used by several threads at once.

    Args:
        layout: of the root.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._found: OrderedDict[str, ReadRun] = OrderedDict()
        self._size = 0

    def folder(self, thread_id: str) -> str:
        """Where the runs of a thread are, or would be.

        Raises:
            InvalidRequest: the id cannot be one; code `invalid_id`.
        """
        return os.path.join(self._layout.thread_folder(thread_id), RUNS)

    def path(self, thread_id: str, run_id: str) -> str:
        """Where a run is, or would be.

        Raises:
            InvalidRequest: an id cannot be one; code `invalid_id`.
        """
        return os.path.join(self.folder(thread_id), check_name(run_id, param="run_id") + ENDING)

    def find(self, thread_id: str, run_id: str, *, may_read: bool, at_once: bool = False) -> ReadRun | None:
        """What the file of a run holds now; None where there is none. Blocks where it may read.

        Args:
            thread_id: the thread.
            run_id: the run.
            may_read: whether the file may be read.
            at_once: it may be where that waits for nothing, see `read_object`.

        Raises:
            InvalidRequest: an id cannot be one.
            Unread: the file must be read, and may not.
            OSError: it cannot be read.
        """
        path = self.path(thread_id, run_id)
        known = self._found.get(path)
        now = signature(path)
        if known is not None and known.settled and known.seen == now:
            return known
        if now is None:
            self.drop(path)
            return None
        if not may_read and not at_once:
            raise Unread
        try:
            return self.read(thread_id, run_id, path, at_once=not may_read)
        except BlockingIOError:
            raise Unread from None

    def read(self, thread_id: str, run_id: str, path: str, *, at_once: bool = False) -> ReadRun | None:
        """Read the file of a run; None where there is none. Blocks, unless `at_once`.

        Raises:
            OSError: it cannot be read; BlockingIOError as `read_object`.
        """
        now = time.time_ns()
        kept, damage, seen = None, None, signature(path)
        values: dict[str, Any] = {}
        content = b""
        try:
            content, seen = read_content(path, at_once=at_once)
            known = self._found.get(path)
            if known is not None and content and known.content == content:
                return self._keep(path, replace(known, seen=seen, settled=is_settled(seen, now)))
            values = values_in(path, content)
            kept = kept_of(thread_id, run_id, path, values, content)
        except Damaged as error:
            damage = error
        except FileNotFoundError:
            self.drop(path)
            return None
        return self._keep(path, ReadRun(kept, damage, values, seen, is_settled(seen, now), _few(content)))

    def write(
        self,
        kept: KeptRun,
        path: str,
        *,
        found: ReadRun | None = None,
        lasting: bool = True,
        before: Callable[[], object] | None = None,
        whole: dict[str, Any] | None = None,
    ) -> None:
        """Write the file of a run, under the lock of its thread. Blocks.

        Args:
            kept: the run.
            path: of its file. Its folder must exist.
            found: what was read of it under this lock; None where nothing was.
            lasting: see `replace_file`.
            before: see `replace_file`.
            whole: all that the file is to hold; default the run, and what else is in the file.

        Raises:
            Damaged: there is a file already, and it cannot be read; it is left alone.
            Oversized: it would have too many bytes; it is left alone. A run that goes on must leave `ROOM`, so that it
                can still end, or be cancelled.
            OSError: it could not be written.
        """
        there: dict[str, Any] = {}
        if found is not None and found.seen is not None and found.seen == signature(path):
            there = found.values
        else:
            try:
                there = read_object(path)[0]
            except FileNotFoundError:
                pass
        largest = LARGEST if kept.run.ended or kept.run.status == "cancelling" else LARGEST - ROOM
        values = values_of(kept, there) if whole is None else whole
        self.drop(path)
        written = write_object(path, values, lasting=lasting, largest=largest, before=before)
        if len(written) <= AT_ONCE:
            # It is compared with what the file holds when it is read next: others may have written since.
            self._keep(path, ReadRun(copy_of(kept), None, values, signature(path), False, written))

    def time_made(self, thread_id: str, run_id: str, path: str) -> int | None:
        """When a run was made; None where its file does not say it. Blocks."""
        try:
            found = self.read(thread_id, run_id, path)
        except OSError:
            return None
        return None if found is None or found.kept is None else found.kept.run.created_at

    def drop(self, path: str) -> None:
        """Forget what was read of a file."""
        with self._lock:
            old = self._found.pop(path, None)
            if old is not None:
                self._size -= old.size

    def _keep(self, path: str, found: ReadRun) -> ReadRun:
        self.drop(path)
        with self._lock:
            self._found[path] = found
            self._size += found.size
            while len(self._found) > REMEMBERED or (self._size > BYTES and len(self._found) > 1):
                _, old = self._found.popitem(last=False)
                self._size -= old.size
        return found


def _few(content: bytes) -> bytes:
    return content if len(content) <= AT_ONCE else b""
