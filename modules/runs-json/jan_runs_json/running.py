"""Notes of runs that have not ended: durable, one a thread, so that a start looks for nothing else.

A note is a file of the thread's name in `threads/.running/`, and names the run:

    {"thread_id": "jan-…", "run_id": "run_…"}

It is on the disk before its run has a name, and removed after the run has ended, so that no run goes on without one.
What the run's file says counts: a note of a run that has ended, or is not there, is one that a crash left behind. That
there is a note is flushed, and what it says is not: where a power cut made it empty, the run is looked for.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass

from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout
from jan_core.folder.names import is_name
from jan_core.folder.objects import Damaged, read_object
from jan_core.folder.replace import TEMPORARY, remove_leftovers
from jan_core.folder.shelf import Unread
from jan_core.folder.signature import Signature, is_settled, signature

FOLDER = ".running"
"""The folder of the notes, in the root's `threads/`."""


@dataclass(frozen=True, slots=True)
class RunningNote:
    """A note as it was read.

    Attributes:
        run_id: the run; empty where the note is damaged.
        seen: the signature of its file.
        settled: any later change must show in it.
    """

    run_id: str
    seen: Signature | None
    settled: bool


class RunningNotes:
    """The notes of one root. Every method may be called from several threads and processes.

    Args:
        layout: of the root.
    """

    def __init__(self, layout: Layout) -> None:
        self.folder = os.path.join(layout.threads, FOLDER)
        self._layout = layout
        self._slash = self.folder + os.sep
        self._known: dict[str, RunningNote] = {}

    def find(self, thread_id: str, *, may_read: bool) -> str | None:
        """The run that the note of a thread names, empty for a damaged one; None where there is no note.

        Two microseconds where there is none: every message that is read or stored asks.

        Args:
            thread_id: a checked name.
            may_read: whether it may wait for the disk to read the note's file.

        Raises:
            Unread: it would have to.
        """
        path = self._slash + thread_id
        # Most threads have none, and no error is made to say so.
        if not os.access(path, os.F_OK) or (seen := signature(path)) is None:
            self._known.pop(thread_id, None)
            return None
        known = self._known.get(thread_id)
        if known is not None and known.settled and known.seen == seen:
            return known.run_id
        now, run_id = time.time_ns(), ""
        try:
            values, seen, _ = read_object(path, at_once=not may_read)
            found = values.get("run_id")
            run_id = found if isinstance(found, str) and is_name(found) else ""
        except FileNotFoundError:
            return None
        except BlockingIOError:
            raise Unread from None
        except (Damaged, OSError):
            pass
        self._known[thread_id] = RunningNote(run_id, seen, is_settled(seen, now))
        return run_id

    def may_name(self, thread_id: str, run_id: str) -> bool:
        """False where the note of a thread names another run, or there is none. Reads nothing."""
        seen = signature(self._slash + thread_id)
        known = self._known.get(thread_id)
        if seen is None or known is None or not known.settled or known.seen != seen:
            return seen is not None
        return known.run_id == run_id

    def add(self, thread_id: str, run_id: str) -> None:
        """Write the note of a thread, in place of one that is there. Blocks. `flush` is to follow.

        Raises:
            OSError: it could not be written.
        """
        self._layout.make_folder(self.folder)
        temporary = self._slash + TEMPORARY + secrets.token_hex(8)
        descriptor = DISK.create(temporary)
        try:
            DISK.write(descriptor, json.dumps({"thread_id": thread_id, "run_id": run_id}).encode() + b"\n", 0)
        finally:
            DISK.close(descriptor)
        DISK.replace(temporary, self._slash + thread_id)

    def flush(self) -> None:
        """Return when what was added is on the disk. Blocks.

        Raises:
            OSError: it may not be.
        """
        DISK.sync_folder(self.folder)

    def remove(self, thread_id: str) -> None:
        """Remove the note of a thread; nothing where there is none. Blocks.

        It is not flushed: one that a power cut brings back is of a run that has ended.

        Raises:
            OSError: it is still there.
        """
        try:
            DISK.unlink(self._slash + thread_id)
        except FileNotFoundError:
            pass
        self._known.pop(thread_id, None)

    def threads(self) -> list[str]:
        """The threads that have a note, in order. Blocks."""
        remove_leftovers(self.folder)
        try:
            return sorted(name for name in os.listdir(self.folder) if is_name(name))
        except OSError:
            return []
